/** Holds that the packed package works for CommonJS and for ES module users, each subpath, code and types. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isTurnOf, some } from '../depth';
import { Consumer, moduleKinds, subpaths } from './consumer';
import { mainSource, workflowSource } from './saga-program';

let consumer: Consumer;

beforeAll(async () => {
  consumer = await Consumer.install();
});

afterAll(() => {
  consumer.remove();
});

describe.skipIf(!isTurnOf('what users see', 'package'))('the packed package', () => {
  it('gives the same names by require and by import, at every subpath', async () => {
    const print = `
      const namesOf = (room) => Object.keys(room).filter((name) => !/^(default|module\\.exports|__esModule)$/.test(name)).sort();
      console.log(JSON.stringify(rooms.map(namesOf)));`;
    const required = subpaths().map((subpath) => `require('${subpath}')`);
    const imported = subpaths().map((subpath) => `await import('${subpath}')`);
    consumer.write('commonjs', 'names.js', `const rooms = [${required.join(', ')}]; ${print}`);
    consumer.write('module', 'names.js', `const rooms = [${imported.join(', ')}]; ${print}`);

    const names = JSON.parse(await consumer.run('commonjs', 'names.js')) as string[][];

    // What is loaded for what it does has no names.
    const nameless = subpaths().filter((_, i) => names[i]?.length === 0);
    expect(nameless).toEqual(['temporal-txn/testing/crashpoints']);
    expect(JSON.parse(await consumer.run('module', 'names.js'))).toEqual(names);
  });

  it('brings the types of every subpath to users of both kinds', async () => {
    const names = subpaths().map((_, index) => `room${index}`);
    const imports = subpaths().map((subpath, index) => `import * as room${index} from '${subpath}';`);
    const source = `${imports.join('\n')}\nexport const rooms: object[] = [${names.join(', ')}];\n`;
    for (const kind of moduleKinds) consumer.write(kind, 'types.ts', source);

    await consumer.typecheck('types.ts');
  }, 90_000);

  it('needs nothing of OpenTelemetry, but for tracing', async () => {
    const others = subpaths().filter((subpath) => subpath !== 'temporal-txn/tracing');
    // As if it were not installed.
    const program = `
      const Module = require('node:module');
      const find = Module._resolveFilename;
      Module._resolveFilename = (request, ...rest) => {
        if (/opentelemetry/.test(request)) throw new Error('It needs ' + request);
        return find(request, ...rest);
      };
      for (const subpath of ${JSON.stringify(others)}) require(subpath);
      let needed = 'nothing';
      try { require('temporal-txn/tracing') } catch (error) { needed = error.message }
      console.log(needed);`;
    consumer.write('commonjs', 'untraced.js', program);

    expect(await consumer.run('commonjs', 'untraced.js')).toMatch(/^It needs @opentelemetry/);
    // Nor do workflows: what the SDK has in every bundle are names of flags.
    const bundle = consumer.read('node_modules/temporal-txn/dist/src/worker/participant-workflows.bundle.js');
    expect(bundle).not.toMatch(/@opentelemetry|opentelemetry\.js\.api/);
  });

  it.each(moduleKinds)('keeps everything else closed to a %s user', async (kind) => {
    consumer.write(kind, 'deep.js', `import('temporal-txn/dist/src/protocol/index.js')`);

    await expect(consumer.run(kind, 'deep.js')).rejects.toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it.each(some(moduleKinds, 1, 'the kind of user who runs a saga'))(
    'runs a saga on a real PostgreSQL for a %s user',
    async (kind) => {
      const workflows = consumer.write(kind, 'workflows.js', workflowSource(kind));
      consumer.write(kind, 'main.js', mainSource(kind, workflows));

      const printed = await consumer.run(kind, 'main.js');

      expect(JSON.parse(printed.trim().split('\n').at(-1) ?? '')).toEqual({
        done: { coins: 2 },
        undone: 'unknown-owner',
        rows: [
          { owner: 'ann', coins: 2 },
          { owner: 'ben', coins: 1 },
        ],
      });
    },
    90_000,
  );
});
