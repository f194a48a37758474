"""What other libraries' metrics are on lists: python metrics.py LISTS (see ../metrics.mjs). Means over users, as JSON to stdout."""

import importlib.metadata
import importlib.util
import json
import math
import pathlib
import sys
import types
import warnings

import ir_measures
import numpy as np
import pandas as pd
import ranx
from recommenders.evaluation import python_evaluation as recommenders

warnings.filterwarnings("ignore")
given = json.load(open(sys.argv[1]))
k, lists, targets = given["k"], given["lists"], given["targets"]
users = range(len(lists))
MEASURES = {"ndcg": "ndcg", "recall-all": "recall", "hit-rate": "hit_rate", "precision": "precision", "map": "map", "mrr": "mrr"}


def by_ranx():
    qrels = ranx.Qrels({str(u): {str(item): 1 for item in targets[u]} for u in users})
    run = ranx.Run({str(u): {str(item): 1.0 / (rank + 1) for rank, item in enumerate(lists[u])} for u in users})
    found = ranx.evaluate(qrels, run, [f"{name}@{k}" for name in MEASURES.values()])
    return {ours: float(found[f"{name}@{k}"]) for ours, name in MEASURES.items()}


def by_ir_measures():
    """trec_eval's own code, by pytrec_eval."""
    from ir_measures import AP, P, R, RR, Success, nDCG

    qrels = [ir_measures.Qrel(str(u), str(item), 1) for u in users for item in targets[u]]
    run = [ir_measures.ScoredDoc(str(u), str(item), 1.0 / (rank + 1)) for u in users for rank, item in enumerate(lists[u])]
    measures = {"ndcg": nDCG @ k, "recall-all": R @ k, "hit-rate": Success @ k, "precision": P @ k, "map": AP @ k, "mrr": RR @ k}
    found = ir_measures.calc_aggregate(list(measures.values()), qrels, run)
    return {ours: float(found[measure]) for ours, measure in measures.items()}


def by_recommenders():
    columns = ["userID", "itemID", "rating"]
    true = pd.DataFrame([(u, item, 1.0) for u in users for item in targets[u]], columns=columns)
    rows = [(u, item, 1.0 / (rank + 1)) for u in users for rank, item in enumerate(lists[u])]
    found = pd.DataFrame(rows, columns=["userID", "itemID", "prediction"])
    functions = {
        "ndcg": recommenders.ndcg_at_k,
        "recall-all": recommenders.recall_at_k,
        "precision": recommenders.precision_at_k,
        "map": recommenders.map_at_k,
    }
    return {ours: float(function(true, found, k=k)) for ours, function in functions.items()}


def recbole_metrics():
    """RecBole's own file of metrics, without the rest of it, which needs PyTorch."""
    np.float = float  # which NumPy had when RecBole 1.2.1 was written

    class Metric:
        pass

    names = {"AbstractMetric": Metric, "TopkMetric": Metric, "LossMetric": Metric}
    for name, content in {
        "recbole": {},
        "recbole.evaluator": {},
        "recbole.evaluator.utils": {"_binary_clf_curve": None},
        "recbole.evaluator.base_metric": names,
        "recbole.utils": {"EvaluatorType": types.SimpleNamespace(RANKING=1, VALUE=2)},
    }.items():
        sys.modules.setdefault(name, types.ModuleType(name)).__dict__.update(content)
    folder = pathlib.Path(next(iter(importlib.metadata.files("recbole"))).locate()).parents[1]
    spec = importlib.util.spec_from_file_location("recbole_metrics", folder / "recbole" / "evaluator" / "metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_recbole():
    metrics = recbole_metrics()
    hits = np.zeros((len(lists), k), dtype=bool)
    for u in users:
        for rank, item in enumerate(lists[u]):
            hits[u, rank] = item in set(targets[u])
    n = np.array([len(target) for target in targets])
    of = lambda name: object.__new__(getattr(metrics, name))  # noqa: E731
    found = {
        "ndcg": of("NDCG").metric_info(hits, n),
        "recall-all": of("Recall").metric_info(hits, n),
        "hit-rate": of("Hit").metric_info(hits),
        "precision": of("Precision").metric_info(hits),
        "map": of("MAP").metric_info(hits, n),
        "mrr": of("MRR").metric_info(hits),
    }
    means = {ours: float(values[:, k - 1].mean()) for ours, values in found.items()}
    listed = np.array([row + [-1] * (k - len(row)) for row in lists])
    means["coverage"] = float(of("ItemCoverage").get_coverage(listed, given["items"]))
    means["gini"] = float(of("GiniIndex").get_gini(listed, given["items"]))
    return means


found = {
    "ranx 0.3.21": by_ranx(),
    "ir-measures 0.4.3 (trec_eval)": by_ir_measures(),
    "Recommenders 1.2.1": by_recommenders(),
    "RecBole 1.2.1": by_recbole(),
}
assert all(math.isfinite(value) for values in found.values() for value in values.values())
print(json.dumps({library: {f"{name}@{k}": value for name, value in values.items()} for library, values in found.items()}))
