/**
 * SQL by which databases and engines make the tables of a Gram matrix. It is a self-join of the users' items, so the
 * work and what is shuffled grow with the sum of the squares of the users' items.
 */
import { quoteText } from './sources.js';

/** A dialect: how names are quoted, types, and how a query becomes a file. */
interface Dialect {
  title: string;
  quote: '"' | '`';
  text: string;
  whole: string;
  /** Behind what items are sorted by, so that they are sorted by bytes. */
  byBytes?: string;
  /** The query of a table as a statement that writes it under a place. */
  write: (query: string, table: string, to: string) => string;
}

const DIALECTS = {
  duckdb: {
    title: 'DuckDB',
    quote: '"',
    text: 'VARCHAR',
    whole: 'INTEGER',
    byBytes: ' COLLATE "binary"',
    write: (query, table, to) => `COPY (\n${query}\n) TO ${quoteText(`${to}/${table}.parquet`)} (FORMAT parquet);`,
  },
  postgres: {
    title: 'PostgreSQL, by psql',
    quote: '"',
    text: 'text',
    whole: 'integer',
    byBytes: ' COLLATE "C"',
    write: (query, table, to) =>
      `COPY (\n${query}\n) TO STDOUT WITH (FORMAT csv, HEADER) \\g ${quoteText(`${to}/${table}.csv`)}`,
  },
  spark: {
    title: 'Spark SQL',
    quote: '`',
    text: 'STRING',
    whole: 'INT',
    write: (query, table, to) =>
      `INSERT OVERWRITE DIRECTORY ${quoteText(`${to}/${table}.parquet`)} USING parquet\n${query};`,
  },
  bigquery: {
    title: 'BigQuery',
    quote: '`',
    text: 'STRING',
    whole: 'INT64',
    write: (query, table, to) => {
      const options = `uri = ${quoteText(`${to}/${table}-*.parquet`)}, format = 'PARQUET', overwrite = true`;
      return `EXPORT DATA OPTIONS (${options}) AS\n${query};`;
    },
  },
  snowflake: {
    title: 'Snowflake',
    quote: '"',
    text: 'VARCHAR',
    whole: 'INTEGER',
    // Its Parquet has decimals for whole numbers.
    write: (query, table, to) => {
      const format = `TYPE = CSV COMPRESSION = GZIP FIELD_OPTIONALLY_ENCLOSED_BY = '"'`;
      return `COPY INTO ${quoteText(`${to}/${table}/`)} FROM (\n${query}\n) FILE_FORMAT = (${format}) HEADER = TRUE OVERWRITE = TRUE;`;
    },
  },
  clickhouse: {
    title: 'ClickHouse, by clickhouse-client',
    quote: '`',
    text: 'String',
    whole: 'UInt32',
    write: (query, table, to) =>
      `${query}\nINTO OUTFILE ${quoteText(`${to}/${table}.parquet`)} TRUNCATE FORMAT Parquet;`,
  },
} as const satisfies Record<string, Dialect>;

/** Names of dialects. */
export type SqlDialect = keyof typeof DIALECTS;

/** The dialects. */
export const SQL_DIALECTS = Object.keys(DIALECTS) as SqlDialect[];

/**
 * Dialects whose text the tests run. Those of the others have been read against their manuals, and were run by nobody.
 */
const RUN: readonly SqlDialect[] = ['duckdb', 'postgres', 'spark'];

/** Where interactions are, and where the tables go. */
export interface GramSqlOptions {
  /** What stands behind FROM: a name, also with a schema, or a function such as `read_parquet('likes/*.parquet')`. */
  table: string;
  /** The column of the users. */
  user: string;
  /** The column of the items. */
  item: string;
  /** A folder, a bucket or a stage. */
  to: string;
}

/** The statements that write the three tables, with items numbered in the order of the bytes of their ids. */
export function gramSql(name: SqlDialect, { table, user, item, to }: GramSqlOptions): string {
  const dialect: Dialect = DIALECTS[name];
  const { title, quote: mark, text, whole, byBytes = '', write } = dialect;
  const quote = (column: string) => `${mark}${column.replaceAll(mark, mark + mark)}${mark}`;
  const pairs = `WITH pairs AS (
  SELECT DISTINCT CAST(${quote(user)} AS ${text}) AS u, CAST(${quote(item)} AS ${text}) AS m FROM ${table}
)`;
  const vocab = `${pairs}, vocab AS (
  SELECT m, row_number() OVER (ORDER BY m${byBytes}) - 1 AS k FROM (SELECT DISTINCT m FROM pairs) AS items
)`;
  const queries = {
    vocab: `${vocab}
SELECT m AS ${quote('item')}, CAST(k AS ${whole}) AS ${quote('index')} FROM vocab`,
    gram: `${vocab}, numbered AS (
  SELECT pairs.u AS u, vocab.k AS k FROM pairs JOIN vocab ON pairs.m = vocab.m
)
SELECT CAST(a.k AS ${whole}) AS ${quote('i')}, CAST(b.k AS ${whole}) AS ${quote('j')}, count(*) AS ${quote('n')}
FROM numbered AS a JOIN numbered AS b ON a.u = b.u
WHERE a.k <= b.k
GROUP BY a.k, b.k`,
    totals: `${pairs}
SELECT 'users' AS ${quote('name')}, count(DISTINCT u) AS ${quote('n')} FROM pairs
UNION ALL
SELECT 'interactions' AS ${quote('name')}, count(*) AS ${quote('n')} FROM pairs`,
  };
  const tested = RUN.includes(name) ? "recvae's tests run this text" : "not run by recvae's tests";
  const head = `-- The Gram matrix of ${table} for recvae counts from-gram, in ${title} (${tested}).`;
  const statements = Object.entries(queries).map(([table, query]) => write(query, table, to));
  return `${[head, ...statements].join('\n\n')}\n`;
}
