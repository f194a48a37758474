#!/usr/bin/env bash
# PySpark 4.3.0: DataFrame.mapInArrow, which hands batches of Arrow to a function, refuses to run where pandas is not installed.
#
# Expected: pyarrow is enough, as neither side of such a function sees a pandas object.
# Seen: an error of class PACKAGE_NOT_INSTALLED about pandas, and not before the call that builds the plan: an import of pyspark, a
# session and toArrow() of the same frame work without it.
# What it means for recvae: the jobs of `recvae spark` look for pandas beside pyarrow at start, and name what is missing; the docs list both.
# Java 17 has to be there.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check pyspark==4.3.0 pyarrow==26.0.1
cat >"$folder/map.py" <<'PY'
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
frame = spark.range(3)
print("toArrow:", frame.toArrow().num_rows, "rows")
try:
    print("mapInArrow:", frame.mapInArrow(lambda batches: batches, "id long").count(), "rows")
except (PySparkException, ImportError) as error:
    of_class = getattr(error, "getErrorClass", getattr(error, "getCondition", lambda: type(error).__name__))()
    print("mapInArrow:", of_class, "pandas" if "pandas" in str(error).lower() else str(error))
spark.stop()
PY
SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON="$folder/python/bin/python" "$folder/python/bin/python" "$folder/map.py" 2>"$folder/log" | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
toArrow: 3 rows
mapInArrow: PACKAGE_NOT_INSTALLED pandas
OUT
