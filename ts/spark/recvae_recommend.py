"""Recommendations for everybody, or for some: a table of the columns `user`, `items` and `scores`.

    spark-submit --py-files recvae_worker.py recvae_recommend.py OPTIONS     OPTIONS: JSON, as `recvae spark recommend --dry-run` prints it

Each task starts `recvae recommend --arrow`, which maps the model file: processes of one machine share its memory.
"""
import json
import os
import sys

from pyspark import SparkFiles
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from recvae_worker import Place, check_versions, column_of, ids, likes, piped, quoted, table

SCHEMA = "user string, items array<string>, scores array<float>"


def listed(frame, options, what, name):
    """A row per user with the ids in the list `name`: out of lists, or of rows of one item each."""
    field = column_of(frame, options["item"], what)
    if isinstance(field.dataType, T.ArrayType):
        if options.get("minValue") is not None:
            raise SystemExit(f"recvae: --min-value has no meaning for the lists of {what}")
        return frame.select(
            ids(frame, options["user"], what).alias("user"), F.col(quoted(options["item"])).cast("array<string>").alias(name)
        )
    # Sorted, so that a task that runs again gets the same lists.
    items = F.sort_array(F.collect_set("item")).alias(name)
    return likes(frame, options, what).groupBy("user").agg(items)


def main():
    options = json.loads(sys.argv[1])
    check_versions()
    spark = SparkSession.builder.getOrCreate()
    parts = options.get("partitions") or 2 * spark.sparkContext.defaultParallelism
    columns = {"user": options["user"], "item": options["item"]}
    with Place(spark, options["out"]) as place:
        rows = table(spark, options["history"], options.get("format"))
        users = listed(rows, options, options["history"], "items")
        if options.get("users") is not None:
            some = table(spark, options["users"])
            users = users.join(some.select(ids(some, options["user"], options["users"]).alias("user")).distinct(), "user", "left_semi")
        for name in ("allow", "deny"):
            if options.get(name) is not None:
                # Who has no list is in the result all the same.
                users = users.join(listed(table(spark, options[name]), columns, options[name], name), "user", "left")

        model, is_shipped = options["model"], options.get("shipped", False)
        if is_shipped:
            spark.sparkContext.addFile(model)
        command = [*options["command"], "--quiet", "recommend"]
        flags = [*options["flags"], "--arrow", "--threads", spark.conf.get("spark.task.cpus", "1")]

        def score(batches):
            path = SparkFiles.get(os.path.basename(model)) if is_shipped else model
            return piped([*command, path, *flags], batches, ["user", "items", "scores"], True)

        # By number, so that nothing merges parts that are small in bytes and long in time.
        result = users.repartition(parts, "user").mapInArrow(score, SCHEMA)
        result.write.parquet(place.under)
    made = spark.read.parquet(place.path).count()
    print(f"{made} users: {place.path}", file=sys.stderr)


if __name__ == "__main__":
    main()
