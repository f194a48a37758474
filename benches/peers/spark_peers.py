"""What Spark takes for the same rows without recvae: a fit of its own ALS, or a Gram matrix by a self-join.

    spark-submit --master spark://HOST:PORT spark_peers.py als|join ROWS.csv

Prints the seconds from the numbered rows, which are in a file, to the factors or to the file of the pairs.
"""
import sys
import tempfile
import time

from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F


def main(what, path):
    spark = SparkSession.builder.getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        pairs = spark.read.options(header=True, inferSchema=False).csv(path).select("user", "item").distinct()
        for name in ("user", "item"):
            index = F.row_number().over(Window.orderBy(name)) - 1
            vocab = pairs.select(name).distinct().select(name, index.cast("int").alias(name[0]))
            pairs = pairs.join(vocab, name)
        pairs.select("u", "i").write.parquet(f"{folder}/numbered")
        pairs = spark.read.parquet(f"{folder}/numbered")
        started = time.monotonic()
        if what == "als":
            als = ALS(userCol="u", itemCol="i", ratingCol="r", rank=64, maxIter=10, implicitPrefs=True, seed=1)
            model = als.fit(pairs.withColumn("r", F.lit(1.0)))
            print(model.itemFactors.count(), "items")
        else:
            one, other = pairs.alias("a"), pairs.select("u", F.col("i").alias("j")).alias("b")
            both = one.join(other, "u").where("i <= j")
            both.groupBy("i", "j").agg(F.count("*").alias("n")).write.parquet(f"{folder}/gram")
            print(spark.read.parquet(f"{folder}/gram").count(), "pairs")
        print(f"{what}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
