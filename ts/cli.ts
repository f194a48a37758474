#!/usr/bin/env node
/** The command line; a file of its own for the line above and the exit code. */
import { run } from './cli/program.js';

process.exitCode = await run();
