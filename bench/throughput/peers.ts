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
export function whyMissing(peer: string): string | undefined {
  if (peerVersion(peer) === undefined) return `it is not installed: ${HOW_TO_INSTALL}`;
  if (peer === RESTATE && restateNode() === undefined)
    return `its SDK needs Node.js ${NODE_OF_RESTATE}, this is ${process.versions.node}`;
  if (peer === RESTATE && !existsSync(restateServer())) return 'its server is not made for this platform';
  return undefined;
}

/** Node.js for the SDK of Restate: this one if it is new enough, else the one that is installed with the peers. */
export function restateNode(): string | undefined {
  if (Number.parseInt(process.versions.node, 10) >= NODE_OF_RESTATE) return process.execPath;
  const installed = resolve(MODULES, `node-${process.platform}-${process.arch}/bin/node`);
  return existsSync(installed) ? installed : undefined;
}

export const restateServer = (): string =>
  resolve(MODULES, `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`);
