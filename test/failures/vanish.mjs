// Preloaded by a test: removes the file VANISHES between the look at it and the reading.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { statSync } = fs;
fs.statSync = (path, ...rest) => {
  const result = statSync(path, ...rest);
  if (path === process.env.VANISHES) fs.rmSync(path, { force: true });
  return result;
};
syncBuiltinESMExports();
