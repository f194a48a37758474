// Generated from the core by .ci/generate.mjs: do not edit.

import type { Description } from './description.js';

export const DESCRIPTION: Omit<Description, 'threads'> = {
  "blend": {
    "doc": "Blend: several trained models together, with weights that are learnt on the validation users.",
    "hasDevices": false,
    "hasEngines": false,
    "hasPrecisions": false,
    "name": "blend",
    "options": [
      {
        "allowed": "a list of finite numbers from 0 to 1",
        "default": null,
        "doc": "Weights of the parts, in their order, which sum to 1. By default they are learnt, and parts that are not worth it are dropped. With them nothing is learnt: the scale is z-score unless given, and there is no gate.",
        "name": "weights",
        "search": null,
        "typescript": "number[]"
      },
      {
        "allowed": "'z-score' or 'rank'",
        "default": null,
        "doc": "How the parts' scores are made comparable. By default z-scores, unless ranks are better on the validation users by more than chance.",
        "name": "scale",
        "search": null,
        "typescript": "'z-score' | 'rank'"
      },
      {
        "allowed": "true or false",
        "default": true,
        "doc": "Whether weights that depend on the history are tried; they are kept only if they beat constant weights, by more than chance, on validation users that they were not fitted to.",
        "name": "gate",
        "search": null,
        "typescript": "boolean"
      },
      {
        "allowed": "a whole number from 0 to 2^53",
        "default": 0,
        "doc": "Start of the random numbers: the order of the validation users and, of four parts or more, where the search begins.",
        "name": "seed",
        "search": null,
        "typescript": "number"
      }
    ],
    "timeLaw": "validation users x items x parts, with what the parts take for a user",
    "usesWeights": true
  },
  "changes": [
    {
      "name": "composite prior",
      "option": "prior",
      "with": "composite",
      "without": "standard"
    },
    {
      "name": "KL weight per user",
      "option": "klWeight",
      "with": "user",
      "without": "constant"
    },
    {
      "name": "alternating training",
      "option": "training",
      "with": "alternating",
      "without": "joint"
    },
    {
      "name": "dense encoder",
      "option": "encoder",
      "with": "dense",
      "without": "shallow"
    }
  ],
  "checkpoint": [
    {
      "allowed": "a whole number, 1 or more",
      "default": 1,
      "doc": "Epochs after which the checkpoint is written again; it is also written when training is cancelled and when it ends.",
      "name": "everyEpochs",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "true or false",
      "default": false,
      "doc": "Whether training goes on from the checkpoint that is there; it must be one of the same model, options and data. Where none is, training begins at its beginning. Without it, a file that is there is refused.",
      "name": "resume",
      "search": null,
      "typescript": "boolean"
    }
  ],
  "compact": [
    {
      "allowed": "a whole number, 1 or more",
      "default": null,
      "doc": "Keep this many weights per item, the largest in magnitude of those by which it speaks for or against others. By default all. The fewer, the smaller and faster the model and the more accuracy is lost.",
      "name": "topPerItem",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "'f16' or 'f32'",
      "default": null,
      "doc": "Floating point type of the weights. By default they keep theirs; an f64 matrix that is pruned becomes f32.",
      "name": "precision",
      "search": null,
      "typescript": "'f16' | 'f32'"
    }
  ],
  "compute": [
    {
      "allowed": "'fused' or 'candle'",
      "default": "fused",
      "doc": "Whose arithmetic it is: fused, the processor's own, or candle, candle tensors with candle's gradients. candle brings threads of its own, as many as CANDLE_NUM_THREADS says when it first computes, else all cores. On a GPU it is candle in any case.",
      "name": "engine",
      "search": null,
      "typescript": "'fused' | 'candle'"
    },
    {
      "allowed": "a string",
      "default": "cpu",
      "doc": "Where: cpu, cuda, cuda:N for one of several, or auto for the first GPU that opens, else the processor. backendInfo() says which there are. EASE^R, EDLAE, RDLAE and DEQL have it, too, in f32 and with density 1: their inverse is computed there; and iALS, for its steps of conjugate gradients.",
      "name": "device",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "'f32' or 'bf16' or 'auto'",
      "default": "f32",
      "doc": "What the large products read: f32, or bf16, which is faster where the processor has AMX or, of AMD's, AVX512-BF16, and refused where it has neither, or auto for bf16 where that is known to be faster. Sums, weights, Adam and the model's file are f32 in any case. H+Vamp is computed in f32 alone, and refuses another choice.",
      "name": "precision",
      "search": null,
      "typescript": "'f32' | 'bf16' | 'auto'"
    }
  ],
  "datasets": [
    "debian"
  ],
  "explain": [
    {
      "allowed": "a whole number, 1 or more",
      "default": 10,
      "doc": "How many items of the history are named; fewer come where it has fewer that the model knows.",
      "name": "k",
      "search": null,
      "typescript": "number"
    }
  ],
  "export": [
    {
      "allowed": "'safetensors' or 'npz' or 'onnx'",
      "default": null,
      "doc": "What the file is: `safetensors`, a state dict of PyTorch; `npz`, arrays of NumPy; `onnx`, a graph. By default what the end of the file's name says.",
      "name": "format",
      "search": null,
      "typescript": "'safetensors' | 'npz' | 'onnx'"
    }
  ],
  "few": 5,
  "formats": [
    {
      "files": [],
      "isPublished": false,
      "item": "",
      "line": "user,item",
      "minValue": null,
      "name": "csv",
      "time": "",
      "title": "comma-separated values",
      "user": "",
      "value": ""
    },
    {
      "files": [],
      "isPublished": false,
      "item": "",
      "line": "user\titem",
      "minValue": null,
      "name": "tsv",
      "time": "",
      "title": "tab-separated values",
      "user": "",
      "value": ""
    },
    {
      "files": [],
      "isPublished": false,
      "item": "",
      "line": "{\"user\":\"u1\",\"item\":\"i1\"}",
      "minValue": null,
      "name": "ndjson",
      "time": "",
      "title": "one JSON object per line",
      "user": "",
      "value": ""
    },
    {
      "files": [],
      "isPublished": false,
      "item": "",
      "line": "columns user and item",
      "minValue": null,
      "name": "arrow",
      "time": "",
      "title": "Arrow IPC, stream or file (Feather)",
      "user": "",
      "value": ""
    },
    {
      "files": [],
      "isPublished": false,
      "item": "",
      "line": "0 17 4 128",
      "minValue": null,
      "name": "adjacency",
      "time": "",
      "title": "lists of the graph papers (train.txt, test.txt)",
      "user": "",
      "value": ""
    },
    {
      "files": [
        "u.data"
      ],
      "isPublished": true,
      "item": "2",
      "line": "196\t242\t3\t881250949",
      "minValue": 4,
      "name": "movielens-100k",
      "time": "4",
      "title": "MovieLens 100K",
      "user": "1",
      "value": "3"
    },
    {
      "files": [
        "ratings.dat"
      ],
      "isPublished": true,
      "item": "2",
      "line": "1::1193::5::978300760",
      "minValue": 4,
      "name": "movielens-1m",
      "time": "4",
      "title": "MovieLens 1M and 10M",
      "user": "1",
      "value": "3"
    },
    {
      "files": [
        "ratings.csv"
      ],
      "isPublished": true,
      "item": "movieId",
      "line": "userId,movieId,rating,timestamp",
      "minValue": 4,
      "name": "movielens-20m",
      "time": "timestamp",
      "title": "MovieLens 20M, 25M, 32M and latest",
      "user": "userId",
      "value": "rating"
    },
    {
      "files": [
        "mv_*.txt",
        "combined_data_*.txt"
      ],
      "isPublished": true,
      "item": "",
      "line": "1: on a line, then 1488844,3,2005-09-06",
      "minValue": 4,
      "name": "netflix",
      "time": "date",
      "title": "Netflix Prize",
      "user": "",
      "value": "rating"
    },
    {
      "files": [
        "train_triplets.txt",
        "kaggle_visible_evaluation_triplets.txt"
      ],
      "isPublished": true,
      "item": "2",
      "line": "b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOAKIMP12A8C130995\t1",
      "minValue": null,
      "name": "msd",
      "time": "",
      "title": "Million Song Dataset, Taste Profile",
      "user": "1",
      "value": "3"
    },
    {
      "files": [
        "usersha1-artmbid-artname-plays.tsv"
      ],
      "isPublished": true,
      "item": "3",
      "line": "00000c289a1829a808ac09c00daf10bc3c4e223b\t3bd73256-3905-4f3a-97e2-8b341527f805\tbetty blowtorch\t2137",
      "minValue": null,
      "name": "lastfm-360k",
      "time": "",
      "title": "Last.fm 360K, by the artist's name",
      "user": "1",
      "value": "4"
    },
    {
      "files": [
        "userid-timestamp-artid-artname-traid-traname.tsv"
      ],
      "isPublished": true,
      "item": "4",
      "line": "user_000001\t2009-05-04T23:08:57Z\tf1b1cf71-bd35-4e99-8624-24a6e15f133a\tDeep Dish\t\tGlobal Underground",
      "minValue": null,
      "name": "lastfm-1k",
      "time": "2",
      "title": "Last.fm 1K, by the artist's name",
      "user": "1",
      "value": ""
    },
    {
      "files": [
        "loc-gowalla_totalCheckins.txt"
      ],
      "isPublished": true,
      "item": "5",
      "line": "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847",
      "minValue": null,
      "name": "gowalla",
      "time": "2",
      "title": "Gowalla check-ins (SNAP)",
      "user": "1",
      "value": ""
    },
    {
      "files": [
        "yelp_academic_dataset_review.json"
      ],
      "isPublished": true,
      "item": "business_id",
      "line": "{\"review_id\":\"K\",\"user_id\":\"m\",\"business_id\":\"X\",\"stars\":3.0,\"date\":\"2018-07-07 22:09:11\"}",
      "minValue": 4,
      "name": "yelp",
      "time": "date",
      "title": "Yelp reviews",
      "user": "user_id",
      "value": "stars"
    },
    {
      "files": [],
      "isPublished": true,
      "item": "asin",
      "line": "{\"overall\":5.0,\"reviewerID\":\"A2\",\"asin\":\"0700099867\",\"unixReviewTime\":1341792000}",
      "minValue": 4,
      "name": "amazon",
      "time": "unixReviewTime",
      "title": "Amazon reviews, 2014 and 2018",
      "user": "reviewerID",
      "value": "overall"
    },
    {
      "files": [],
      "isPublished": true,
      "item": "parent_asin",
      "line": "{\"rating\":4.0,\"asin\":\"B1\",\"parent_asin\":\"B0\",\"user_id\":\"AG\",\"timestamp\":1588687728923}",
      "minValue": 4,
      "name": "amazon-2023",
      "time": "timestamp",
      "title": "Amazon reviews, 2023",
      "user": "user_id",
      "value": "rating"
    },
    {
      "files": [],
      "isPublished": true,
      "item": "2",
      "line": "A3AF8FFZAZYNE5,0000000078,5.0,1092182400",
      "minValue": 4,
      "name": "amazon-ratings-2014",
      "time": "4",
      "title": "Amazon ratings only, 2014",
      "user": "1",
      "value": "3"
    },
    {
      "files": [],
      "isPublished": true,
      "item": "1",
      "line": "0001713353,A1C6M8LCIX4M6M,5.0,1123804800",
      "minValue": 4,
      "name": "amazon-ratings-2018",
      "time": "4",
      "title": "Amazon ratings only, 2018",
      "user": "2",
      "value": "3"
    },
    {
      "files": [],
      "isPublished": true,
      "item": "parent_asin",
      "line": "user_id,parent_asin,rating,timestamp",
      "minValue": 4,
      "name": "amazon-ratings-2023",
      "time": "timestamp",
      "title": "Amazon ratings only, 2023",
      "user": "user_id",
      "value": "rating"
    },
    {
      "files": [
        "ratings.csv"
      ],
      "isPublished": true,
      "item": "book_id",
      "line": "user_id,book_id,rating",
      "minValue": 4,
      "name": "goodbooks",
      "time": "",
      "title": "Goodbooks-10k",
      "user": "user_id",
      "value": "rating"
    },
    {
      "files": [
        "BX-Book-Ratings.csv"
      ],
      "isPublished": true,
      "item": "ISBN",
      "line": "\"276725\";\"034545104X\";\"0\"",
      "minValue": null,
      "name": "book-crossing",
      "time": "",
      "title": "Book-Crossing",
      "user": "User-ID",
      "value": "Book-Rating"
    },
    {
      "files": [
        "steam-200k.csv"
      ],
      "isPublished": true,
      "item": "2",
      "line": "151603712,\"The Elder Scrolls V Skyrim\",purchase,1.0,0",
      "minValue": null,
      "name": "steam",
      "time": "",
      "title": "Steam 200k",
      "user": "1",
      "value": "4"
    },
    {
      "files": [
        "events.csv"
      ],
      "isPublished": true,
      "item": "itemid",
      "line": "timestamp,visitorid,event,itemid,transactionid",
      "minValue": null,
      "name": "retailrocket",
      "time": "timestamp",
      "title": "RetailRocket events",
      "user": "visitorid",
      "value": ""
    },
    {
      "files": [
        "otto-recsys-train.jsonl",
        "otto-recsys-test.jsonl"
      ],
      "isPublished": true,
      "item": "",
      "line": "{\"session\":12899779,\"events\":[{\"aid\":59625,\"ts\":1661724000278,\"type\":\"clicks\"}]}",
      "minValue": null,
      "name": "otto",
      "time": "ts",
      "title": "OTTO sessions",
      "user": "",
      "value": ""
    }
  ],
  "load": [
    {
      "allowed": "true or false",
      "default": true,
      "doc": "Whether the file is mapped: parameters come in as they are needed, and processes share them. What cannot be mapped is read. Not by default on Windows, where a mapped file cannot be replaced. A mapped file may be replaced by renaming, as save does, but must not be written into or cut off; where others might do that, do not map.",
      "name": "mmap",
      "search": null,
      "typescript": "boolean"
    },
    {
      "allowed": "true or false",
      "default": null,
      "doc": "Whether the checksum of all bytes is compared, which reads the whole file. By default not of mapped files above 256 MiB. Header, metadata, ids, types and shapes are always checked, with a checksum of their own.",
      "name": "verify",
      "search": null,
      "typescript": "boolean"
    },
    {
      "allowed": "a string",
      "default": "cpu",
      "doc": "Where the lists of many users are found: cpu, cuda, cuda:N for one of several GPUs, or auto for the first one that opens if it has the memory, else the processor. The items and the bits of the lists are the same everywhere. A GPU is for iALS, the networks, and EASE^R, EDLAE, RDLAE and DEQL with all their weights in f32; lists of up to 410 items and at most a third of all, about, of calls with 64 users or more.",
      "name": "device",
      "search": null,
      "typescript": "string"
    }
  ],
  "longestId": 65536,
  "longestRow": 1048576,
  "metricNames": [
    "ndcg",
    "recall",
    "recall-all",
    "hit-rate",
    "precision",
    "map",
    "mrr",
    "novelty",
    "diversity",
    "miscalibration",
    "tail",
    "coverage",
    "gini"
  ],
  "metrics": [
    "ndcg@100",
    "recall@20",
    "recall@50",
    "recall-all@20",
    "hit-rate@20",
    "coverage@100"
  ],
  "models": [
    {
      "doc": "Every user gets the items that most users have.",
      "hasDevices": false,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "popularity",
      "options": [],
      "timeLaw": "interactions",
      "usesWeights": false
    },
    {
      "doc": "EASE^R: a linear item-item model in closed form.",
      "hasDevices": true,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "ease",
      "options": [
        {
          "allowed": "a finite number above 0",
          "default": 500,
          "doc": "Weight of the squared norm of B, in users: co-occurrences of fewer users than this hardly count. Larger for denser data; search it on validation.",
          "name": "lambda",
          "search": {
            "from": 0.5,
            "scale": "log",
            "to": 10000
          },
          "typescript": "number"
        },
        {
          "allowed": "'f32' or 'f64'",
          "default": "f32",
          "doc": "Floating point type of the factorisation and of the stored matrix.",
          "name": "precision",
          "search": null,
          "typescript": "'f32' | 'f64'"
        },
        {
          "allowed": "a finite number above 0 and up to 1",
          "default": 1,
          "doc": "Share of the item pairs that may have a weight: the pairs that most often come together. 1 is EASE^R itself, in 4 n_items^2 bytes. Less, for catalogues where that is too much, takes 16 density n_items^2 bytes and a time that grows with items x (density x items)^3: .01 and below. The weights are f32.",
          "name": "density",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "items^3 + interactions^2 / users, less where users are few or items share few; of a density below 1: items x (density x items)^3",
      "usesWeights": false
    },
    {
      "doc": "EDLAE: EASE^R of histories from which items are dropped at random, in closed form.",
      "hasDevices": true,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "edlae",
      "options": [
        {
          "allowed": "a finite number above 0",
          "default": 500,
          "doc": "Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on validation.",
          "name": "lambda",
          "search": {
            "from": 0.5,
            "scale": "log",
            "to": 10000
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.33,
          "doc": "Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for others. 0 for EASE^R.",
          "name": "dropoutRate",
          "search": {
            "from": 0.05,
            "scale": "linear",
            "to": 0.9
          },
          "typescript": "number"
        },
        {
          "allowed": "'f32' or 'f64'",
          "default": "f32",
          "doc": "Floating point type of the factorisation and of the stored matrix.",
          "name": "precision",
          "search": null,
          "typescript": "'f32' | 'f64'"
        },
        {
          "allowed": "a finite number above 0 and up to 1",
          "default": 1,
          "doc": "Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells what it saves. The weights are f32 below 1.",
          "name": "density",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "items^3 + interactions^2 / users, less where users are few or items share few; of a density below 1: items x (density x items)^3",
      "usesWeights": false
    },
    {
      "doc": "RDLAE: EDLAE whose weights are found with a diagonal that may be up to some number.",
      "hasDevices": true,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "rdlae",
      "options": [
        {
          "allowed": "a finite number above 0",
          "default": 500,
          "doc": "Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on validation.",
          "name": "lambda",
          "search": {
            "from": 0.5,
            "scale": "log",
            "to": 10000
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.33,
          "doc": "Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for others.",
          "name": "dropoutRate",
          "search": {
            "from": 0.05,
            "scale": "linear",
            "to": 0.9
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to 1",
          "default": 0.4,
          "doc": "How much of an item may be told by itself while the weights are found: 0 for EDLAE, 1 for no limit. The larger, the shorter are the weights of the items of which others tell less.",
          "name": "xi",
          "search": {
            "from": 0,
            "scale": "linear",
            "to": 0.8
          },
          "typescript": "number"
        },
        {
          "allowed": "'f32' or 'f64'",
          "default": "f32",
          "doc": "Floating point type of the factorisation and of the stored matrix.",
          "name": "precision",
          "search": null,
          "typescript": "'f32' | 'f64'"
        },
        {
          "allowed": "a finite number above 0 and up to 1",
          "default": 1,
          "doc": "Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells what it saves. The weights are f32 below 1.",
          "name": "density",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "items^3 + interactions^2 / users, less where users are few or items share few; of a density below 1: items x (density x items)^3",
      "usesWeights": false
    },
    {
      "doc": "DEQL: EDLAE that is also asked, with less weight, for the items that dropout has kept.",
      "hasDevices": true,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "deql",
      "options": [
        {
          "allowed": "a finite number above 0",
          "default": 500,
          "doc": "Weight of the squared norm of B beside what dropout does, in users, as of EDLAE. Larger for denser data; search it on validation.",
          "name": "lambda",
          "search": {
            "from": 0.5,
            "scale": "log",
            "to": 10000
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.33,
          "doc": "Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for others.",
          "name": "dropoutRate",
          "search": {
            "from": 0.05,
            "scale": "linear",
            "to": 0.9
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number, 0 or more",
          "default": 1,
          "doc": "Weight of the entries that dropout kept, where that of those dropped is 1; the paper's b. 0 for EDLAE, 1 for RDLAE without a limit. The larger, the shorter are the weights of the items of which others tell less.",
          "name": "keptWeight",
          "search": {
            "from": 0,
            "scale": "linear",
            "to": 3
          },
          "typescript": "number"
        },
        {
          "allowed": "'f32' or 'f64'",
          "default": "f32",
          "doc": "Floating point type of the factorisation and of the stored matrix.",
          "name": "precision",
          "search": null,
          "typescript": "'f32' | 'f64'"
        },
        {
          "allowed": "a finite number above 0 and up to 1",
          "default": 1,
          "doc": "Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells what it saves. The weights are f32 below 1.",
          "name": "density",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "items^3 + interactions^2 / users, less where users are few or items share few; of a density below 1: items x (density x items)^3",
      "usesWeights": false
    },
    {
      "doc": "Higher-order EASE^R: EASE^R in which pairs of items speak, too, in closed form.",
      "hasDevices": false,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "hoease",
      "options": [
        {
          "allowed": "a finite number above 0",
          "default": 500,
          "doc": "Weight of the squared norm of B, in users, as of EASE^R. Larger for denser data; search it on validation.",
          "name": "lambda",
          "search": {
            "from": 0.5,
            "scale": "log",
            "to": 10000
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 5000,
          "doc": "Weight of the squared norm of C, in users: pairs of fewer users than this hardly count.",
          "name": "pairLambda",
          "search": {
            "from": 5,
            "scale": "log",
            "to": 100000
          },
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 0 or more",
          "default": 1000,
          "doc": "How many pairs of items, those that most users have, of equals those of the items that come first; 0 for EASE^R. A fit takes 4 (items + pairs)^2 bytes beside the weights, and a time that grows with the cube of both together.",
          "name": "pairs",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "'f32' or 'f64'",
          "default": "f32",
          "doc": "Floating point type of the factorisation; the weights are f32.",
          "name": "precision",
          "search": null,
          "typescript": "'f32' | 'f64'"
        }
      ],
      "timeLaw": "(items + pairs)^3 + interactions^2 / users",
      "usesWeights": false
    },
    {
      "doc": "iALS: matrix factorisation by alternating least squares.",
      "hasDevices": true,
      "hasEngines": false,
      "hasPrecisions": false,
      "name": "als",
      "options": [
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 64,
          "doc": "Length of the vectors. More is better on large data, and slower.",
          "name": "factors",
          "search": [
            64,
            128,
            256,
            512
          ],
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.2,
          "doc": "Weight of a pair without interaction, where an interaction has 1 (alpha0). Smaller for sparser data.",
          "name": "alpha0",
          "search": {
            "from": 0.0001,
            "scale": "log",
            "to": 0.5
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.006,
          "doc": "Weight of the squared norms. Search it on validation together with alpha0.",
          "name": "lambda",
          "search": {
            "from": 0.00001,
            "scale": "log",
            "to": 0.1
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to 2",
          "default": 1,
          "doc": "How the weight of a row's norm grows with its interactions: 1 in proportion, 0 not at all.",
          "name": "nu",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "'linear' or 'log'",
          "default": "linear",
          "doc": "What the confidence in an interaction grows with, where interactions have weights: `linear`, the weight, or `log`, ln(1 + weight / epsilon). It counts in units of its mean, whatever the unit of the weights.",
          "name": "confidence",
          "search": null,
          "typescript": "'linear' | 'log'"
        },
        {
          "allowed": "a finite number above 0",
          "default": 1,
          "doc": "A weight that is small, for the confidence `log`: above it, twice the weight adds about the same again and again.",
          "name": "epsilon",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.1,
          "doc": "Deviation of the scores at the beginning, in units of 1 / sqrt(factors) per number of an item's vector.",
          "name": "initScale",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "'conjugate' or 'cholesky'",
          "default": "conjugate",
          "doc": "How a row is solved in training.",
          "name": "solver",
          "search": null,
          "typescript": "'conjugate' | 'cholesky'"
        },
        {
          "allowed": "a whole number from 1 to 1000",
          "default": 3,
          "doc": "Steps of conjugate gradients a row and epoch.",
          "name": "steps",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000000",
          "default": 16,
          "doc": "Epochs at most.",
          "name": "epochs",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 1 or more",
          "default": 5,
          "doc": "Epochs without a better validation NDCG@100 after which training stops.",
          "name": "patience",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 0 to 2^53",
          "default": 1,
          "doc": "Seed of the items' first vectors.",
          "name": "seed",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "epochs x (interactions x factors + (users + items) x factors^2 + factors^3)",
      "usesWeights": true
    },
    {
      "doc": "Mult-DAE: a denoising autoencoder with a multinomial likelihood; Mult-VAE without the sampling.",
      "hasDevices": true,
      "hasEngines": true,
      "hasPrecisions": true,
      "name": "mult-dae",
      "options": [
        {
          "allowed": "a finite number, 0 or more",
          "default": 0.01,
          "doc": "Weight of the squared norms of the weights in the loss of a batch, a sum over its users.",
          "name": "lambda",
          "search": {
            "from": 0.0001,
            "scale": "log",
            "to": 1
          },
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 200,
          "doc": "Width of the hidden layer, which is a user's latent vector.",
          "name": "latentDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.5,
          "doc": "Share of a history that is dropped from the input in training.",
          "name": "dropoutRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.001,
          "doc": "Adam's step size.",
          "name": "learningRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1048576",
          "default": 500,
          "doc": "Users per step.",
          "name": "batchSize",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000000",
          "default": 200,
          "doc": "Epochs at most.",
          "name": "epochs",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 1 or more",
          "default": 20,
          "doc": "Epochs without a better validation NDCG@100 after which training stops.",
          "name": "patience",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 0 to 2^53",
          "default": 1,
          "doc": "Seed of weights, order of users and dropout.",
          "name": "seed",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "epochs x users x (items x width of the output layer + numbers of the dense layers + items per user x hiddenDim)",
      "usesWeights": false
    },
    {
      "doc": "Mult-VAE: a variational autoencoder with a multinomial likelihood.",
      "hasDevices": true,
      "hasEngines": true,
      "hasPrecisions": true,
      "name": "mult-vae",
      "options": [
        {
          "allowed": "a finite number, 0 or more",
          "default": 0.2,
          "doc": "Weight of the KL term once it has grown.",
          "name": "beta",
          "search": {
            "from": 0.02,
            "scale": "log",
            "to": 2
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to 1",
          "default": 0.5,
          "doc": "Share of the epochs over which the KL weight grows from 0 to beta.",
          "name": "annealing",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 600,
          "doc": "Width of the hidden layers.",
          "name": "hiddenDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 200,
          "doc": "Length of a user's latent vector.",
          "name": "latentDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.5,
          "doc": "Share of a history that is dropped from the encoder's input in training.",
          "name": "dropoutRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.001,
          "doc": "Adam's step size.",
          "name": "learningRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1048576",
          "default": 500,
          "doc": "Users per step.",
          "name": "batchSize",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000000",
          "default": 100,
          "doc": "Epochs at most.",
          "name": "epochs",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 1 or more",
          "default": 50,
          "doc": "Epochs without a better validation NDCG@100 after which training stops; counted once beta has grown.",
          "name": "patience",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 0 to 2^53",
          "default": 1,
          "doc": "Seed of weights, order of users, dropout and samples.",
          "name": "seed",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "epochs x users x (items x width of the output layer + numbers of the dense layers + items per user x hiddenDim)",
      "usesWeights": false
    },
    {
      "doc": "RecVAE: Mult-VAE with a composite prior, a KL weight per user, alternating training and a dense encoder.",
      "hasDevices": true,
      "hasEngines": true,
      "hasPrecisions": true,
      "name": "recvae",
      "options": [
        {
          "allowed": "a finite number, 0 or more",
          "default": 0.005,
          "doc": "KL weight per interaction of a user (gamma). The option that matters most: tune it. In the paper 0.0035 to 0.01, for users of 123 to 59 interactions; the fewer they have, the larger it has to be.",
          "name": "gamma",
          "search": {
            "from": 0.0005,
            "scale": "log",
            "to": 0.05
          },
          "typescript": "number"
        },
        {
          "allowed": "a finite number, 0 or more",
          "default": 0.2,
          "doc": "KL weight of every user where klWeight is 'constant'.",
          "name": "beta",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "'user' or 'constant'",
          "default": "user",
          "doc": "What the KL term is weighted by.",
          "name": "klWeight",
          "search": null,
          "typescript": "'user' | 'constant'"
        },
        {
          "allowed": "'composite' or 'standard'",
          "default": "composite",
          "doc": "What the posterior is pulled to.",
          "name": "prior",
          "search": null,
          "typescript": "'composite' | 'standard'"
        },
        {
          "allowed": "'alternating' or 'joint'",
          "default": "alternating",
          "doc": "Alternating or joint training.",
          "name": "training",
          "search": null,
          "typescript": "'alternating' | 'joint'"
        },
        {
          "allowed": "'dense' or 'shallow'",
          "default": "dense",
          "doc": "RecVAE's dense encoder or Mult-VAE's.",
          "name": "encoder",
          "search": null,
          "typescript": "'dense' | 'shallow'"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 600,
          "doc": "Width of the encoder's layers.",
          "name": "hiddenDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 200,
          "doc": "Length of a user's latent vector.",
          "name": "latentDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.5,
          "doc": "Share of a history that is dropped from the encoder's input in training.",
          "name": "dropoutRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "three finite numbers from 0 to 1",
          "default": [
            0.15,
            0.75,
            0.1
          ],
          "doc": "Weights of the composite prior's parts: N(0, 1), old posterior, wide normal. Their sum is 1.",
          "name": "mixtureWeights",
          "search": null,
          "typescript": "[number, number, number]"
        },
        {
          "allowed": "a finite number from -20 to 20",
          "default": 10,
          "doc": "Logarithm of the variance of the composite prior's wide part.",
          "name": "wideLogVariance",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.0005,
          "doc": "Adam's step size, for encoder and decoder alike.",
          "name": "learningRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1048576",
          "default": 500,
          "doc": "Users per step.",
          "name": "batchSize",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000",
          "default": 3,
          "doc": "Encoder passes over all users per epoch of alternating training.",
          "name": "encoderPasses",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000",
          "default": 1,
          "doc": "Decoder passes over all users per epoch of alternating training.",
          "name": "decoderPasses",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000000",
          "default": 50,
          "doc": "Epochs at most.",
          "name": "epochs",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 1 or more",
          "default": 10,
          "doc": "Epochs without a better validation NDCG@100 after which training stops.",
          "name": "patience",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "true or false",
          "default": false,
          "doc": "Whether item embeddings, the weights of encoder and decoder that belong to items, are now and then replaced by ImplicitSLIM.",
          "name": "implicitSlim",
          "search": null,
          "typescript": "boolean"
        },
        {
          "allowed": "a whole number from 1 to 1000000",
          "default": 10,
          "doc": "Epochs from one replacement to the next: it comes before the passes of epochs slimEvery, 2 slimEvery and so on.",
          "name": "slimEvery",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 500,
          "doc": "Weight of the linear model's squared norm in ImplicitSLIM, as lambda of EASE^R.",
          "name": "slimLambda",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 1,
          "doc": "How close the replaced embeddings stay to those before: less pulls them to 0.",
          "name": "slimAlpha",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to 1",
          "default": 0.01,
          "doc": "Share of the training users below which an item's own embedding does not count in the replacement. The authors' 1000 users on MovieLens-20M are .0086.",
          "name": "slimThreshold",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 0 to 2^53",
          "default": 1,
          "doc": "Seed of weights, order of users, dropout and samples.",
          "name": "seed",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "epochs x users x (items x width of the output layer + numbers of the dense layers + items per user x hiddenDim)",
      "usesWeights": false
    },
    {
      "doc": "H+Vamp (Gated): a variational autoencoder with two latent vectors, gated layers and a learnt prior.",
      "hasDevices": true,
      "hasEngines": true,
      "hasPrecisions": false,
      "name": "hvamp",
      "options": [
        {
          "allowed": "a finite number, 0 or more",
          "default": 0.3,
          "doc": "Weight of the KL term once it has grown.",
          "name": "beta",
          "search": {
            "from": 0.03,
            "scale": "log",
            "to": 1
          },
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 0 or more",
          "default": 100,
          "doc": "Epochs over which that weight grows, by the same each.",
          "name": "warmUp",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "'multinomial' or 'bernoulli'",
          "default": "multinomial",
          "doc": "How a history follows from the logits.",
          "name": "likelihood",
          "search": null,
          "typescript": "'multinomial' | 'bernoulli'"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 1000,
          "doc": "Vectors whose posteriors are the prior.",
          "name": "pseudoUsers",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 600,
          "doc": "Width of the gated layers.",
          "name": "hiddenDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 65536",
          "default": 200,
          "doc": "Length of either latent vector of a user.",
          "name": "latentDim",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number from 0 to below 1",
          "default": 0.5,
          "doc": "Share of a history that is dropped from the encoder's input in training.",
          "name": "dropoutRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a finite number above 0",
          "default": 0.0005,
          "doc": "Adam's step size, on gradients that are divided by their norm.",
          "name": "learningRate",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1048576",
          "default": 200,
          "doc": "Users per step.",
          "name": "batchSize",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 1 to 1000000",
          "default": 300,
          "doc": "Epochs at most.",
          "name": "epochs",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number, 1 or more",
          "default": 50,
          "doc": "Epochs without a better validation NDCG@100 after which training stops; counted once beta has grown.",
          "name": "patience",
          "search": null,
          "typescript": "number"
        },
        {
          "allowed": "a whole number from 0 to 2^53",
          "default": 1,
          "doc": "Seed of weights, order of users, dropout and samples.",
          "name": "seed",
          "search": null,
          "typescript": "number"
        }
      ],
      "timeLaw": "epochs x (users x (items x hiddenDim + numbers of the dense layers) + steps x pseudoUsers x items x hiddenDim)",
      "usesWeights": false
    }
  ],
  "officialFiles": [
    "unique_sid.txt",
    "unique_uid.txt",
    "split.json",
    "train.csv",
    "validation_tr.csv",
    "validation_te.csv",
    "test_tr.csv",
    "test_te.csv"
  ],
  "power": 0.8,
  "published": [
    {
      "files": [
        {
          "checksum": "md5:0e33842e24a9c977be4e0107933c0723",
          "member": "ml-100k/u.data",
          "name": "u.data",
          "url": "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
        }
      ],
      "name": "ml-100k",
      "page": "https://grouplens.org/datasets/movielens/100k/",
      "paper": "",
      "read": {
        "format": "movielens-100k"
      },
      "split": {},
      "terms": "research only; no commercial use and no redistribution without permission of the GroupLens project; cite Harper and Konstan 2015 (the archive's README)",
      "title": "MovieLens 100K"
    },
    {
      "files": [
        {
          "checksum": "md5:c4d9eecfca2ab87c1945afe126590906",
          "member": "ml-1m/ratings.dat",
          "name": "ratings.dat",
          "url": "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
        }
      ],
      "name": "ml-1m",
      "page": "https://grouplens.org/datasets/movielens/1m/",
      "paper": "",
      "read": {
        "format": "movielens-1m"
      },
      "split": {},
      "terms": "research only; no commercial use and no redistribution without permission of the GroupLens project; cite Harper and Konstan 2015 (the archive's README)",
      "title": "MovieLens 1M"
    },
    {
      "files": [
        {
          "checksum": "md5:ce571fd55effeba0271552578f2648bd",
          "member": "ml-10M100K/ratings.dat",
          "name": "ratings.dat",
          "url": "https://files.grouplens.org/datasets/movielens/ml-10m.zip"
        }
      ],
      "name": "ml-10m",
      "page": "https://grouplens.org/datasets/movielens/10m/",
      "paper": "",
      "read": {
        "format": "movielens-1m"
      },
      "split": {},
      "terms": "research only; no commercial use and no redistribution without permission of the GroupLens project; cite Harper and Konstan 2015 (the archive's README)",
      "title": "MovieLens 10M"
    },
    {
      "files": [
        {
          "checksum": "md5:cd245b17a1ae2cc31bb14903e1204af3",
          "member": "ml-20m/ratings.csv",
          "name": "ratings.csv",
          "url": "https://files.grouplens.org/datasets/movielens/ml-20m.zip"
        }
      ],
      "name": "ml-20m",
      "page": "https://grouplens.org/datasets/movielens/20m/",
      "paper": "Mult-VAE (Liang et al. 2018), RecVAE (Shenbin et al. 2020)",
      "read": {
        "format": "movielens-20m"
      },
      "split": {
        "generator": "numpy",
        "seed": 98765,
        "shortUsers": "drop",
        "test": 10000,
        "validation": 10000
      },
      "terms": "research only; no commercial use and no redistribution without permission of the GroupLens project; cite Harper and Konstan 2015 (the archive's README)",
      "title": "MovieLens 20M"
    },
    {
      "files": [
        {
          "checksum": "md5:6b51fb2759a8657d3bfcbfc42b592ada",
          "member": "ml-25m/ratings.csv",
          "name": "ratings.csv",
          "url": "https://files.grouplens.org/datasets/movielens/ml-25m.zip"
        }
      ],
      "name": "ml-25m",
      "page": "https://grouplens.org/datasets/movielens/25m/",
      "paper": "",
      "read": {
        "format": "movielens-20m"
      },
      "split": {},
      "terms": "research only; no commercial use and no redistribution without permission of the GroupLens project; cite Harper and Konstan 2015 (the archive's README)",
      "title": "MovieLens 25M"
    },
    {
      "files": [
        {
          "checksum": "md5:d472be332d4daa821edc399621853b57",
          "member": "ml-32m/ratings.csv",
          "name": "ratings.csv",
          "url": "https://files.grouplens.org/datasets/movielens/ml-32m.zip"
        }
      ],
      "name": "ml-32m",
      "page": "https://grouplens.org/datasets/movielens/32m/",
      "paper": "",
      "read": {
        "format": "movielens-20m"
      },
      "split": {},
      "terms": "research only; no commercial use and no redistribution without permission of the GroupLens project; cite Harper and Konstan 2015 (the archive's README)",
      "title": "MovieLens 32M"
    },
    {
      "files": [
        {
          "checksum": "",
          "member": "",
          "name": "mv_*.txt",
          "url": ""
        }
      ],
      "name": "netflix",
      "page": "https://en.wikipedia.org/wiki/Netflix_Prize",
      "paper": "Mult-VAE (Liang et al. 2018), RecVAE (Shenbin et al. 2020)",
      "read": {
        "format": "netflix"
      },
      "split": {
        "generator": "numpy",
        "seed": 98765,
        "shortUsers": "drop",
        "test": 40000,
        "validation": 40000
      },
      "terms": "the publisher does not offer it any more; the terms are in the README of the archive",
      "title": "Netflix Prize"
    },
    {
      "files": [
        {
          "checksum": "",
          "member": "train_triplets.txt",
          "name": "train_triplets.txt",
          "url": "http://millionsongdataset.com/sites/default/files/challenge/train_triplets.txt.zip"
        }
      ],
      "name": "msd",
      "page": "http://millionsongdataset.com/tasteprofile/",
      "paper": "Mult-VAE (Liang et al. 2018), RecVAE (Shenbin et al. 2020)",
      "read": {
        "format": "msd",
        "minItem": 200
      },
      "split": {
        "generator": "numpy",
        "minUserItems": 20,
        "seed": 98765,
        "shortUsers": "drop",
        "test": 50000,
        "validation": 50000
      },
      "terms": "those of The Echo Nest, which its page names",
      "title": "Million Song Dataset, Taste Profile"
    },
    {
      "files": [
        {
          "checksum": "",
          "member": "",
          "name": "train.txt",
          "url": "https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/gowalla/train.txt"
        },
        {
          "checksum": "",
          "member": "",
          "name": "test.txt",
          "url": "https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/gowalla/test.txt"
        }
      ],
      "name": "gowalla",
      "page": "https://github.com/kuandeng/LightGCN",
      "paper": "the graph papers (NGCF, LightGCN), which train on all of the train file: --validation 0 --no-search",
      "read": {
        "format": "adjacency"
      },
      "split": {
        "kind": "files"
      },
      "terms": "none are stated with the files, which the authors of NGCF and LightGCN made",
      "title": "Gowalla, as in the graph papers"
    },
    {
      "files": [
        {
          "checksum": "",
          "member": "",
          "name": "train.txt",
          "url": "https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/yelp2018/train.txt"
        },
        {
          "checksum": "",
          "member": "",
          "name": "test.txt",
          "url": "https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/yelp2018/test.txt"
        }
      ],
      "name": "yelp2018",
      "page": "https://github.com/kuandeng/LightGCN",
      "paper": "the graph papers (NGCF, LightGCN), which train on all of the train file: --validation 0 --no-search",
      "read": {
        "format": "adjacency"
      },
      "split": {
        "kind": "files"
      },
      "terms": "none are stated with the files, which the authors of NGCF and LightGCN made",
      "title": "Yelp 2018, as in the graph papers"
    },
    {
      "files": [
        {
          "checksum": "",
          "member": "",
          "name": "train.txt",
          "url": "https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/amazon-book/train.txt"
        },
        {
          "checksum": "",
          "member": "",
          "name": "test.txt",
          "url": "https://raw.githubusercontent.com/kuandeng/LightGCN/master/Data/amazon-book/test.txt"
        }
      ],
      "name": "amazon-book",
      "page": "https://github.com/kuandeng/LightGCN",
      "paper": "the graph papers (NGCF, LightGCN), which train on all of the train file: --validation 0 --no-search",
      "read": {
        "format": "adjacency"
      },
      "split": {
        "kind": "files"
      },
      "terms": "none are stated with the files, which the authors of NGCF and LightGCN made",
      "title": "Amazon books, as in the graph papers"
    }
  ],
  "rankingMetricNames": [
    "auc"
  ],
  "read": [
    {
      "allowed": "'csv' or 'tsv' or 'ndjson' or 'arrow' or 'adjacency' or 'movielens-100k' or 'movielens-1m' or 'movielens-20m' or 'netflix' or 'msd' or 'lastfm-360k' or 'lastfm-1k' or 'gowalla' or 'yelp' or 'amazon' or 'amazon-2023' or 'amazon-ratings-2014' or 'amazon-ratings-2018' or 'amazon-ratings-2023' or 'goodbooks' or 'book-crossing' or 'steam' or 'retailrocket' or 'otto'",
      "default": null,
      "doc": "The format, by the name of a program's (csv, tsv, ndjson, arrow), of the graph papers' lists (adjacency) or of a data set. Without it the file's name says it: `.csv`, `.tsv`, `.ndjson`, `.jsonl`, `.arrow`, `.arrows`, `.feather` or `.ipc`, with `.gz` or `.zst` behind it or not; and a data set is known by its name or its header where no other data have it. Whether the file is compressed is seen from its first bytes, never from its name.",
      "name": "format",
      "search": null,
      "typescript": "'csv' | 'tsv' | 'ndjson' | 'arrow' | 'adjacency' | 'movielens-100k' | 'movielens-1m' | 'movielens-20m' | 'netflix' | 'msd' | 'lastfm-360k' | 'lastfm-1k' | 'gowalla' | 'yelp' | 'amazon' | 'amazon-2023' | 'amazon-ratings-2014' | 'amazon-ratings-2018' | 'amazon-ratings-2023' | 'goodbooks' | 'book-crossing' | 'steam' | 'retailrocket' | 'otto'"
    },
    {
      "allowed": "a string",
      "default": null,
      "doc": "The text between two fields, such as `;` or `::`; `\\\\t` stands for a tab. Without it that of the format.",
      "name": "separator",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "true or false",
      "default": true,
      "doc": "Whether the first row names the columns. Without a header columns are called by their numbers, from 1 on; users are in column 1 and items in column 2 unless it is said otherwise.",
      "name": "header",
      "search": null,
      "typescript": "boolean"
    },
    {
      "allowed": "'utf8' or 'latin1'",
      "default": null,
      "doc": "How text is written as bytes: `utf8`, or `latin1` for ISO 8859-1. Without it that of the format.",
      "name": "encoding",
      "search": null,
      "typescript": "'utf8' | 'latin1'"
    },
    {
      "allowed": "'double' or 'none'",
      "default": null,
      "doc": "What a quote means: `double`, it encloses a field; `none`, it is a character like any other. Without it that of the format, which is `double` for csv and `none` for tsv.",
      "name": "quote",
      "search": null,
      "typescript": "'double' | 'none'"
    },
    {
      "allowed": "'quote' or 'backslash'",
      "default": "quote",
      "doc": "How a quote inside a quoted field is written: `quote`, twice as in RFC 4180, or `backslash`, behind one.",
      "name": "escape",
      "search": null,
      "typescript": "'quote' | 'backslash'"
    },
    {
      "allowed": "a string",
      "default": "user",
      "doc": "Column (or JSON key) of the user ids, unless the format has another name for it.",
      "name": "user",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "a string",
      "default": "item",
      "doc": "Column (or JSON key) of the item ids, unless the format has another name for it. In NDJSON and Arrow it may hold a list.",
      "name": "item",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "a string",
      "default": null,
      "doc": "Column (or JSON key) of a number, such as a rating, that every row must have. It changes nothing without minValue or weighted: every row counts alike.",
      "name": "value",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "a finite number",
      "default": null,
      "doc": "Rows whose value is lower are left out as if they were not there. Only with value, or a format that has one: the formats of ratings have one of their own, unless it is said otherwise (0 for none).",
      "name": "minValue",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "true or false",
      "default": false,
      "doc": "Whether the value of a row, above 0, says how much it counts, as a number of plays does: iALS takes it for a confidence, and other models say that they do not. The values of a pair of user and item are added up. Only with value, or a format that has one.",
      "name": "weighted",
      "search": null,
      "typescript": "boolean"
    },
    {
      "allowed": "a string",
      "default": null,
      "doc": "Column (or JSON key) of the time of each row: a number or a date such as 2015-01-31 or 2015-01-31T12:30:00Z. Splits by time need it, and since and until, which take that of the format if it has one.",
      "name": "time",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "'s' or 'ms'",
      "default": null,
      "doc": "What a number counts that is a time: seconds or milliseconds since 1970. Without it that of the format, else seconds.",
      "name": "timeUnit",
      "search": null,
      "typescript": "'s' | 'ms'"
    },
    {
      "allowed": "a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'",
      "default": null,
      "doc": "Rows before this time are left out: a date, or a number in the unit of the times. Only with time.",
      "name": "since",
      "search": null,
      "typescript": "number | string | Date"
    },
    {
      "allowed": "a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'",
      "default": null,
      "doc": "Rows at this time or later are left out: a date, or a number in the unit of the times. Only with time.",
      "name": "until",
      "search": null,
      "typescript": "number | string | Date"
    },
    {
      "allowed": "a string",
      "default": null,
      "doc": "Column (or JSON key) that says for which part of a split each row is: train, validation (or valid, val, dev) or test. The split of kind column needs it. It takes the place of time.",
      "name": "part",
      "search": null,
      "typescript": "string"
    },
    {
      "allowed": "a whole number from 0 to 2^53",
      "default": 0,
      "doc": "So many rows at most that cannot be understood are left out and counted; one more is an error, as any is without it.",
      "name": "skipBadRows",
      "search": null,
      "typescript": "number"
    }
  ],
  "recommend": [
    {
      "allowed": "a whole number, 1 or more",
      "default": 10,
      "doc": "How many items; fewer come where the catalogue has fewer left.",
      "name": "k",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "true or false",
      "default": true,
      "doc": "Whether the items of the history are left out.",
      "name": "filterSeen",
      "search": null,
      "typescript": "boolean"
    },
    {
      "allowed": "'popularity' or 'none'",
      "default": null,
      "doc": "What a user gets of whom the model knows nothing: `popularity`, the items that most training users have, for a history without a known item, and in place of items whose score is exactly 0; or `none`, what the model gives. By default `popularity`; `none` where the model's file does not say how many users have an item, as those of earlier versions.",
      "name": "fallback",
      "search": null,
      "typescript": "'popularity' | 'none'"
    }
  ],
  "resamples": 10000,
  "sample": [
    {
      "allowed": "a whole number, 2 or more",
      "default": 2000,
      "doc": "Training users of the largest sample at most.",
      "name": "users",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number, 2 or more",
      "default": null,
      "doc": "The most popular items that it has at most; by default it has all of them, as models differ most in the tail.",
      "name": "items",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number from 0 to 2^53",
      "default": 0,
      "doc": "Start of the random numbers; the same seed gives the same sample.",
      "name": "seed",
      "search": null,
      "typescript": "number"
    }
  ],
  "significance": 0.05,
  "similar": [
    {
      "allowed": "a whole number, 1 or more",
      "default": 10,
      "doc": "How many; fewer come where there are fewer.",
      "name": "k",
      "search": null,
      "typescript": "number"
    }
  ],
  "split": [
    {
      "allowed": "'strong' or 'folds' or 'time' or 'last' or 'share' or 'files' or 'column'",
      "default": "strong",
      "doc": "What is held out: whole users (`strong`), the same in `folds` of which each is the test part once (`folds`), what came last by the clock (`time`), each user's last items (`last`), a share of each user's items (`share`), or what others have divided, in files of their own (`files`) or by a column (`column`). By the latter five, users are known from training, and are scored by their history. `time` and `last` need data with times.",
      "name": "kind",
      "search": null,
      "typescript": "'strong' | 'folds' | 'time' | 'last' | 'share' | 'files' | 'column'"
    },
    {
      "allowed": "a whole number, 0 or more",
      "default": 5,
      "doc": "Users with fewer items are never held out; shortUsers says what becomes of them.",
      "name": "minUserItems",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "'train' or 'drop'",
      "default": "train",
      "doc": "What becomes of users with fewer items than minUserItems: they are trained on, or dropped as in the protocol of the Mult-VAE paper.",
      "name": "shortUsers",
      "search": null,
      "typescript": "'train' | 'drop'"
    },
    {
      "allowed": "a finite number, 0 or more",
      "default": 0.1,
      "doc": "Validation users: a share of the users with enough items if below 1 (rounded to the nearest count), else a whole number of them; 0 for none. By kind time, the share of all interactions that comes before the test part. By the other kinds, only 0 says something: none. By kinds files and column, where nothing is for validation, a share heldOut of each user's training items is.",
      "name": "validation",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a finite number, 0 or more",
      "default": 0.1,
      "doc": "Test users, written as validation users are. By kind time, the share of all interactions that are the newest.",
      "name": "test",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a finite number above 0 and below 1",
      "default": 0.2,
      "doc": "Share of a held-out user's items that is scored. By kind share, of every user's.",
      "name": "heldOut",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number, 2 or more",
      "default": 5,
      "doc": "By kind folds, in how many parts the users are divided.",
      "name": "folds",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number, 1 or more",
      "default": 1,
      "doc": "By kind folds, which part is for test, from 1 on; the one behind it is for validation.",
      "name": "fold",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number, 1 or more",
      "default": 1,
      "doc": "By kind last, how many of a user's newest items are for test, and as many before them for validation.",
      "name": "last",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'",
      "default": null,
      "doc": "By kind time, when the test part begins, in place of a share: a date, or a number of seconds since 1970 (of batches, in their unit).",
      "name": "testSince",
      "search": null,
      "typescript": "number | string | Date"
    },
    {
      "allowed": "a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'",
      "default": null,
      "doc": "By kind time, when the validation part begins, written likewise.",
      "name": "validationSince",
      "search": null,
      "typescript": "number | string | Date"
    },
    {
      "allowed": "'philox' or 'numpy'",
      "default": "philox",
      "doc": "What draws, by kinds strong and folds: `philox`, or `numpy` for NumPy's legacy generator, which gives the split of the Mult-VAE and RecVAE authors' scripts where a user's rows stand in the order of the item ids.",
      "name": "generator",
      "search": null,
      "typescript": "'philox' | 'numpy'"
    },
    {
      "allowed": "a whole number from 0 to 2^53",
      "default": 0,
      "doc": "Start of the random numbers; the same seed gives the same split.",
      "name": "seed",
      "search": null,
      "typescript": "number"
    }
  ],
  "synth": [
    {
      "allowed": "'ml-20m' or 'netflix' or 'msd' or 'million'",
      "default": "ml-20m",
      "doc": "The set whose numbers of users, items and interactions are taken.",
      "name": "like",
      "search": null,
      "typescript": "'ml-20m' | 'netflix' | 'msd' | 'million'"
    },
    {
      "allowed": "a finite number from 0.01 to 1",
      "default": 1,
      "doc": "Factor for users and interactions; the items stay.",
      "name": "scale",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number from 0 to 2^53",
      "default": 0,
      "doc": "Start of the random numbers; the same seed gives the same data.",
      "name": "seed",
      "search": null,
      "typescript": "number"
    }
  ],
  "thresholds": [
    {
      "allowed": "a whole number, 0 or more",
      "default": 1,
      "doc": "Users with fewer distinct items are left out; one without any always is.",
      "name": "minUser",
      "search": null,
      "typescript": "number"
    },
    {
      "allowed": "a whole number, 0 or more",
      "default": 1,
      "doc": "Items with fewer distinct users are left out; one without any always is.",
      "name": "minItem",
      "search": null,
      "typescript": "number"
    }
  ],
  "validationMetric": "ndcg@100"
};
