/**
 * `npm run demo`: starts everything, plays the scenes, shows that the books add up, and stays up to be looked at until Ctrl-C.
 * With `--once` it ends by itself, with exit code 0 only when every scene ended as it should and every invariant held.
 */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { setting } from '../clients/lib/shell';
import { table } from '../clients/lib/table';
import { untilInterrupted } from '../src/dev';
import { DirectoryInUse } from '../src/testing';
import { audit, booksTable, readBooks } from './books';
import { scenes } from './scenes';
import { openShop } from './shop';
import type { Shop } from './shop';
import { outcomeOf } from './staging';
import type { Scene, Stage } from './staging';

interface Options {
  readonly once?: boolean;
  readonly fresh?: boolean;
  readonly directory: string;
}

const command = new Command('demo')
  .description('Plays transfers and orders between real databases, with crashes, and shows that the books add up')
  .option('--once', 'end after the last scene instead of staying up')
  .option('--fresh', 'throw away what earlier runs left')
  .option('--directory <path>', 'where databases, logs and state are kept; each demo at a time needs its own', '.demo');

async function main(): Promise<number> {
  const { once, fresh, directory } = command.parse().opts<Options>();
  const interrupted = untilInterrupted();
  const home = resolve(directory);
  const opening = openShop({ directory: home, progress: say, ...(fresh ? { fresh } : {}) });
  const first = await Promise.race([opening.then(() => 'open' as const), interrupted]);
  const shop = await opening;
  try {
    if (first !== 'open') return 130;
    showLinks(shop);
    const playing = play(shop);
    // A scene that Ctrl-C cut short fails for lack of servers, and there is nobody left to tell.
    playing.catch(() => undefined);
    const result = await Promise.race([playing, interrupted]);
    if (typeof result === 'string') return 130;
    if (once) return result ? 0 : 1;
    showLinks(shop);
    say('everything stays up to be looked at; Ctrl-C stops it');
    await interrupted;
    return result ? 0 : 1;
  } finally {
    say('stopping');
    await shop.stop();
  }
}

async function play(shop: Shop): Promise<boolean> {
  const run = Date.now().toString(36);
  const stage: Stage = { ...shop, run, say: (line) => say(`    ${line}`) };
  const before = await readBooks(shop);
  const rows: string[][] = [];
  for (const [i, scene] of scenes.entries()) {
    say(`${i + 1}/${scenes.length} ${scene.story}`);
    rows.push(await perform(scene, stage));
  }
  const after = await readBooks(shop);
  const checks = await audit(shop, before, after);
  console.log(`\n${table(['scene', 'outcome', 'why', '', 'transaction'], rows)}`);
  console.log(`\n${booksTable(before, after)}\n`);
  for (const { promise, broken } of checks)
    console.log(`${broken.length === 0 ? '✓' : '✗'} ${promise}${broken.map((line) => `\n    ${line}`).join('')}`);
  return rows.every((row) => row[3] === '✓') && checks.every(({ broken }) => broken.length === 0);
}

async function perform(scene: Scene, stage: Stage): Promise<string[]> {
  const id = `demo-${stage.run}-${scene.name}`;
  try {
    const handle = await scene.play(stage, id);
    const { outcome, why } = await (scene.outcome ? scene.outcome(stage, id) : outcomeOf(handle));
    const asExpected = outcome === scene.expect;
    stage.say(
      asExpected
        ? `${outcome}: ${scene.because}`
        : `${outcome} (${why}), but expected ${scene.expect}: ${scene.because}`,
    );
    return [scene.name, outcome, why, asExpected ? '✓' : '✗', id];
  } catch (error) {
    stage.say(`failed: ${error instanceof Error ? error.message : String(error)}`);
    return [scene.name, 'failed', error instanceof Error ? error.message.slice(0, 80) : '', '✗', id];
  }
}

function showLinks({ stack, reach, configFile }: Shop): void {
  const ui = `${stack.temporal.uiUrl}/namespaces/${stack.temporal.namespace}/workflows`;
  console.log(`
  Web UI                 ${ui}
  undone transactions    ${ui}?query=${encodeURIComponent("TxnStatus='compensated'")}
  recovery               ${ui}?query=${encodeURIComponent("WorkflowType='recoverParticipant'")}
  waiting for a person   ${ui}?query=${encodeURIComponent('TxnNeedsAttention=true')}
  mail that was sent     ${stack.mail?.url}
  try one yourself       ${reach} npm run transfer -- --from north-bank/alice --to south-bank/bob --amount 5 --protocol 2pc
  hold a trip            ${reach} npm run trip -- --flight LIS-900 --room DOUBLE --car COMPACT
  is my money safe?      ${reach} ${setting('TXN_CONFIG', configFile)} npm run -s temporal-txn -- audit
`);
}

const started = Date.now();

function say(line: string): void {
  console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof DirectoryInUse) console.error('Name one: npm run demo -- --directory <path>');
    process.exit(2);
  },
);
