"""What both jobs have in common: on a worker the command line of recvae, fed with Arrow and read as Arrow; on the driver tables and places.

Nothing of recvae is installed in Python. A task starts the command once, writes its rows to the standard input and reads the results
from the standard output, both as Arrow IPC streams, in batches: neither side holds more than a few of them.
"""
import itertools
import subprocess
import tempfile
import threading
import uuid

import pyarrow as pa
import pyspark
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.utils import require_minimum_pandas_version, require_minimum_pyarrow_version

ID_TYPES = (T.StringType, T.CharType, T.VarcharType, T.ByteType, T.ShortType, T.IntegerType, T.LongType)


def piped(command, batches, names, row_by_row):
    """What `command` writes for the rows of `batches`, in columns of these names.

    It fails if the command fails or is killed, so that Spark takes nothing of the task and tries it again. `row_by_row`: a result for
    each row, no more and no fewer.
    """
    batches = iter(batches)
    # Spark calls this for partitions without rows, too.
    first = next((batch for batch in batches if batch.num_rows > 0), None)
    if first is None:
        return
    rows, unread, unwritten = [0, 0], [], []
    with tempfile.TemporaryFile() as messages:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages)
        except OSError as error:
            raise RuntimeError(f"cannot start {command[0]} on this worker: {error}; --worker-command names another one") from error

        def feed():
            try:
                stream = pa.ipc.new_stream(process.stdin, first.schema)
                for batch in itertools.chain([first], batches):
                    stream.write_batch(batch)
                    rows[0] += batch.num_rows
                # Only behind the last row: a stream that ends here is whole.
                stream.close()
                process.stdin.close()
            except BrokenPipeError:
                pass  # the command has ended, and says why
            except BaseException as error:
                # Spark gives no more rows, and the command would wait for them.
                unread.append(error)
                process.kill()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        try:
            try:
                with pa.ipc.open_stream(process.stdout) as stream:
                    if stream.schema.names != names:
                        raise RuntimeError(f"{command[0]} writes columns {stream.schema.names}; expected: {names}")
                    for batch in stream:
                        rows[1] += batch.num_rows
                        yield batch
            except (pa.ArrowInvalid, OSError) as error:
                # Cut off: what the command says is why.
                unwritten.append(error)
            code = process.wait()
            feeder.join()
            messages.seek(0)
            said = messages.read().decode(errors="replace").strip()[-4000:]
            if unread:
                raise unread[0]
            if code != 0:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
                raise RuntimeError(f"{' '.join(command)} {how}: {said}")
            if unwritten:
                raise unwritten[0]
            if row_by_row and rows[0] != rows[1]:
                raise RuntimeError(f"{rows[0]} rows went in and {rows[1]} came out")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def check_versions():
    """Names what is needed where something is too old."""
    if int(pyspark.__version__.split(".")[0]) < 4:
        raise SystemExit(f"recvae: PySpark is {pyspark.__version__}; allowed: 4.0 and later (pip install 'pyspark>=4')")
    try:
        require_minimum_pyarrow_version()
        # Nothing here uses pandas, but mapInArrow asks for it.
        require_minimum_pandas_version()
    except Exception as error:
        raise SystemExit(f"recvae: PySpark {pyspark.__version__} needs more (pip install 'pyspark[sql]'): {error}") from error


def table(spark, place, form=None):
    """The table at a place, by the ending of its name unless `form` says what it is."""
    if form is None:
        ending = place.rstrip("/").lower().removesuffix(".gz").rsplit(".", 1)[-1]
        form = {"csv": "csv", "tsv": "tsv", "json": "json", "ndjson": "json", "jsonl": "json", "orc": "orc"}.get(ending, "parquet")
    # A part of a path such as day=007 is text, as everywhere else.
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    reader = spark.read
    if form in ("csv", "tsv"):
        # Text, so that 007 stays; a quote within quotes is written twice, as RFC 4180 has it.
        reader = reader.options(header=True, inferSchema=False, escape='"', sep="\t" if form == "tsv" else ",")
    return reader.format("csv" if form == "tsv" else form).load(place)


def column_of(frame, name, what):
    """The field of that name."""
    found = [field for field in frame.schema.fields if field.name == name]
    if len(found) != 1:
        raise SystemExit(f"recvae: {what} has no column '{name}'; there are: {', '.join(frame.columns)}")
    return found[0]


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def ids(frame, name, what):
    """A column of ids as text; a job that meets null or an empty text fails."""
    field = column_of(frame, name, what)
    if not isinstance(field.dataType, ID_TYPES):
        raise SystemExit(f"recvae: column '{name}' of {what} is {field.dataType.simpleString()}; allowed: text or whole numbers")
    text = F.col(quoted(name)).cast("string")
    wrong = F.raise_error(F.lit(f"{what}: {name} is null or empty; allowed: an id"))
    return F.when(text.isNull() | (text == ""), wrong.cast("string")).otherwise(text)


def likes(frame, options, what):
    """The rows that count, as text in the columns `user` and `item`."""
    user, item = ids(frame, options["user"], what), ids(frame, options["item"], what)
    least, name = options.get("minValue"), options.get("value")
    if least is not None:
        column_of(frame, name, what)
        number = F.col(quoted(name)).try_cast("double")
        wrong = F.raise_error(F.lit(f"{what}: {name} is no number"))
        frame = frame.where(F.when(number.isNull() | F.isnan(number), wrong.cast("double")).otherwise(number) >= F.lit(float(least)))
    return frame.select(user.alias("user"), item.alias("item"))


class Place:
    """A folder to be: it is filled under another name, and appears when it is whole."""

    def __init__(self, spark, path):
        jvm = spark._jvm
        self.path, self.under = path.rstrip("/"), f"{path.rstrip('/')}.unfinished-{uuid.uuid4().hex[:12]}"
        self._final, self._temporary = jvm.org.apache.hadoop.fs.Path(self.path), jvm.org.apache.hadoop.fs.Path(self.under)
        self._files = self._final.getFileSystem(spark._jsc.hadoopConfiguration())
        if self._files.exists(self._final):
            raise SystemExit(f"recvae: {path} is there already; allowed: a folder that is not")
        self._delete = lambda path: self._files.delete(jvm.org.apache.hadoop.fs.Path(path), True)

    def delete(self, name):
        """Takes a part of it away."""
        self._delete(f"{self.under}/{name}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            if not self._files.rename(self._temporary, self._final):
                raise SystemExit(f"recvae: {self.path} cannot be made; what belongs there is in {self.under}")
            return
        try:
            self._files.delete(self._temporary, True)
        except Exception:
            pass  # why the job failed is the news
