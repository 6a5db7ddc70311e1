/**
 * What the user has set for a Temporal, databases and workers of their own. The embedded stack has others: with a key for Temporal Cloud in
 * the environment, its server would be spoken to by TLS, and with an address for metrics each of its workers would want that one port.
 */
import { loadClientConfigProfile } from '@temporalio/envconfig';

/** Binaries and their cache, which a stack uses too, are none of them. */
const THEIRS =
  /^(TEMPORAL_(?!CLI_PATH$|TEST_SERVER_PATH$)|TXN_(ALLOW_INSECURE|CONFIG|CRASHPOINT|DATABASE_|DATA_CONVERTER|ENCRYPTION_KEYS|HEALTH_|METRICS_ADDRESS|RECOVERY_|WEB_UI)|PG[A-Z]+$)/;

/** A file of settings that is not there: an empty one would be refused. */
const NO_FILE = '/nonexistent/temporal.toml';

/**
 * Takes it out of the environment of this process, and so of all that it starts.
 *
 * @returns what a command needs before it to do without it too, in a shell where it is still set
 */
export function forgetUserSettings(): readonly string[] {
  const names = Object.keys(process.env).filter((name) => THEIRS.test(name));
  for (const name of names) Reflect.deleteProperty(process.env, name);
  const withoutFile = hasProfile() ? [`TEMPORAL_CONFIG_FILE=${NO_FILE}`] : [];
  process.env['TEMPORAL_CONFIG_FILE'] = NO_FILE;
  const changes = [...names.flatMap((name) => ['-u', name]), ...withoutFile];
  return changes.length === 0 ? [] : ['env', ...changes];
}

/** Whether the file that is read by default says anything, or cannot be read. */
function hasProfile(): boolean {
  try {
    return Object.values(loadClientConfigProfile()).some((value) => value !== undefined);
  } catch {
    return true;
  }
}
