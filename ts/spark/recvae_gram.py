"""How many users have each pair of items, as the tables vocab, gram and totals that `recvae counts from-gram` takes.

    spark-submit --py-files recvae_worker.py recvae_gram.py OPTIONS     OPTIONS: JSON, as `recvae spark gram --dry-run` prints it

1. Rows that count become distinct pairs of a user and an item. Users and items with too few are left out until nothing changes.
2. Items are numbered by the bytes of their ids.
3. Each partition, which has whole users, is counted by `recvae counts pairs`.
4. The partitions' pairs are added up, in blocks of items. They are whole numbers, so the order changes nothing.
"""
import json
import sys

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from recvae_worker import Place, check_versions, likes, piped, table


def enough(pairs, by, least):
    """The pairs of users, or of items, that have at least so many."""
    if least is None or least <= 1:
        return pairs
    return pairs.join(pairs.groupBy(by).count().where(F.col("count") >= least).select(by), by, "left_semi")


def main():
    options = json.loads(sys.argv[1])
    check_versions()
    spark = SparkSession.builder.getOrCreate()
    with Place(spark, options["out"]) as place:

        def saved(frame, name):
            # On the disk and not in executors' memory, so that a killed one takes nothing away.
            frame.write.parquet(f"{place.under}/{name}")
            return spark.read.parquet(f"{place.under}/{name}")

        rows = table(spark, options["input"], options.get("format"))
        pairs = saved(likes(rows, options, options["input"]).distinct(), "round-0")
        n, number = pairs.count(), 0
        while True:
            kept = enough(enough(pairs, "user", options.get("minUser")), "item", options.get("minItem"))
            if kept is pairs:
                break
            number += 1
            kept = saved(kept, f"round-{number}")
            before, n = n, kept.count()
            place.delete(f"round-{number - 1}")
            pairs = kept
            if n == before:
                break
        if n == 0:
            raise SystemExit("recvae: no interactions are left; allowed: at least one")

        order = F.row_number().over(Window.orderBy("item")) - 1
        vocab = saved(pairs.select("item").distinct().select("item", order.cast("int").alias("index")), "vocab.parquet")
        numbered = pairs.join(F.broadcast(vocab), "item").select("user", F.col("index").alias("item"))

        parts = options.get("partitions") or spark.sparkContext.defaultParallelism
        command = [*options["command"], "--quiet", "counts", "pairs", "-", "--threads", spark.conf.get("spark.task.cpus", "1")]

        def count(batches):
            return piped(command, batches, ["i", "j", "n"], False)

        counted = numbered.repartition(parts, "user").mapInArrow(count, "i int, j int, n long")
        blocks = options.get("blocks") or max(parts, int(spark.conf.get("spark.sql.shuffle.partitions")))
        saved(counted.repartition(blocks, "i").groupBy("i", "j").agg(F.sum("n").alias("n")), "gram.parquet")
        users = pairs.select("user").distinct().count()
        saved(spark.createDataFrame([("users", users), ("interactions", n)], "name string, n long"), "totals.parquet")
        items = vocab.count()
        place.delete(f"round-{number}")
    print(f"{users} users, {items} items, {n} interactions: {place.path}", file=sys.stderr)


if __name__ == "__main__":
    main()
