/** A Spark of its own for a test: a master and two workers on the loopback, and spark-submit. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { canRun, freePort } from './postgres.js';

/**
 * The Python with PySpark 4 and pyarrow: of the environment that `RECVAE_PYSPARK` names, else of the one that `.ci/run`
 * makes.
 */
function findPython(): string | undefined {
  const folder = process.env.RECVAE_PYSPARK ?? fileURLToPath(new URL('../target/pyspark', import.meta.url));
  const path = join(folder, 'bin', 'python3');
  return existsSync(path) ? path : undefined;
}

function hasJava(): boolean {
  const folders = [join(process.env.JAVA_HOME ?? '', 'bin'), ...(process.env.PATH ?? '').split(delimiter)];
  return folders.some((folder) => canRun(join(folder, 'java'), '-version'));
}

/** A Spark that can be started. */
export interface FoundSpark {
  python: string;
  /** `SPARK_HOME`. */
  home: string;
}

/** One, if Python, PySpark and Java are there. */
export function findSpark(): FoundSpark | undefined {
  const python = findPython();
  if (python === undefined || !hasJava()) return undefined;
  try {
    const code = 'import pandas, pyarrow, pyspark, os; print(os.path.dirname(pyspark.__file__))';
    return { python, home: execFileSync(python, ['-c', code], { encoding: 'utf8', stdio: 'pipe' }).trim() };
  } catch {
    return undefined; // such a Python without the packages
  }
}

export interface SparkCluster {
  /** Flags of `recvae spark` for it. */
  flags: string[];
  /** The same behind `--`: small executors of one core each. */
  settings: string[];
  /** Variables for `recvae spark`. */
  environment: Record<string, string>;
  /** Starts another worker. */
  addWorker(): Promise<void>;
  stop(): Promise<void>;
}

const MEMORY = '1g';

/** A JVM that lives for seconds is done before its better compiler is. */
const QUICK = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC';

/** Starts one that keeps its files in a folder. */
export async function startSpark({ python, home }: FoundSpark, folder: string): Promise<SparkCluster> {
  const port = await freePort();
  const url = `spark://127.0.0.1:${port}`;
  // Without addresses of the machine's own, which may have none that it reaches itself by.
  const environment = { SPARK_HOME: home, SPARK_LOCAL_IP: '127.0.0.1', PYSPARK_PYTHON: python };
  const started: ChildProcess[] = [];
  const start = async (name: string, args: string[], said: RegExp) => {
    const env = { ...process.env, ...environment, SPARK_DAEMON_MEMORY: '256m', SPARK_DAEMON_JAVA_OPTS: QUICK };
    const main = `org.apache.spark.deploy.${name}`;
    const child = spawn(join(home, 'bin', 'spark-class'), [main, '--host', '127.0.0.1', '--webui-port', '0', ...args], {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.push(child);
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
    });
    while (!said.test(text)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${main} ended: ${text}`);
      await setTimeout(50);
    }
  };
  const addWorker = async () => {
    const work = join(folder, `worker-${started.length}`);
    mkdirSync(work);
    const args = ['--cores', '1', '--memory', MEMORY, '--work-dir', work, url];
    await start('worker.Worker', args, /Successfully registered with master/);
  };
  const stop = async () => {
    for (const child of started.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await ended;
    }
  };
  try {
    await start('master.Master', ['--port', `${port}`], /I have been elected leader/);
    await Promise.all([addWorker(), addWorker()]);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  const settings = {
    'spark.driver.memory': MEMORY,
    'spark.driver.extraJavaOptions': QUICK,
    'spark.executor.extraJavaOptions': QUICK,
    'spark.executor.cores': 1,
    'spark.executor.memory': MEMORY,
    'spark.ui.enabled': false,
    'spark.sql.shuffle.partitions': 2,
    // Compiling a plan takes longer than these data.
    'spark.sql.codegen.wholeStage': false,
    'spark.sql.codegen.factoryMode': 'NO_CODEGEN',
    // Who is killed is missed at once; who is slow because others have the processors is not.
    'spark.network.timeout': '600s',
    'spark.rpc.askTimeout': '600s',
    'spark.executor.heartbeatInterval': '60s',
    'spark.python.authenticate.socketTimeout': '600s',
  };
  return {
    flags: ['--master', url],
    settings: ['--', ...Object.entries(settings).flatMap(([name, value]) => ['--conf', `${name}=${value}`])],
    environment,
    addWorker,
    stop,
  };
}
