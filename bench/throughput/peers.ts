/** What other people have made, in a folder with a package.json of its own: half a gigabyte that nobody needs who does not compare. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** From dist/bench/throughput/ back to the package. */
const FOLDER = resolve(__dirname, '../../../bench/peers');
const MODULES = resolve(FOLDER, 'node_modules');

const HOW_TO_INSTALL = 'npm run bench:peers';
const RESTATE = '@restatedev/restate-sdk';
/** Its SDK uses what Node.js has since then. */
const NODE_OF_RESTATE = 22;

export interface NodeRelease {
  readonly path: string;
  readonly version: string;
}

/** The version that is installed; undefined when it is not. */
export function peerVersion(name: string): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(resolve(MODULES, name, 'package.json'), 'utf8')) as { version: string };
    return version;
  } catch {
    return undefined;
  }
}

/** Why a peer cannot run here; undefined when it can. */
export function whyMissing(peer: string, node: NodeRelease): string | undefined {
  if (peerVersion(peer) === undefined) return `it is not installed: ${HOW_TO_INSTALL}`;
  if (peer === RESTATE && majorOf(node.version) < NODE_OF_RESTATE)
    return `its SDK needs Node.js ${NODE_OF_RESTATE}, and this run has ${node.version}`;
  if (peer === RESTATE && !existsSync(restateServer())) return 'its server is not made for this platform';
  return undefined;
}

export const ownNode = (): NodeRelease => ({ path: process.execPath, version: process.versions.node });

/**
 * One Node.js for all who take part: the one that is installed with the peers, unless this one is newer. What libraries cost depends on
 * it: a promise is cheaper since 24, whatever context it carries.
 */
export function newestNode(): NodeRelease {
  const own = ownNode();
  const name = `node-${process.platform}-${process.arch}`;
  const path = resolve(MODULES, name, 'bin/node');
  const version = peerVersion(name);
  if (version === undefined || !existsSync(path) || majorOf(version) < majorOf(own.version)) return own;
  return { path, version };
}

const majorOf = (version: string): number => Number.parseInt(version, 10);

export const restateServer = (): string =>
  resolve(MODULES, `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`);
