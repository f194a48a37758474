/** Threads of this process that belong to the package. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** Their names. Node gives none of its own such a name. */
export function ourThreads() {
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim();
    } catch {
      return ''; // it has ended meanwhile
    }
  });
  return names.filter((name) => name.startsWith('recvae'));
}
