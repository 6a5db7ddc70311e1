/**
 * docker-compose.yml without Docker: there is no engine where this is tested, so the file is parsed and held against what it
 * refers to — images, files, scripts, services and variables.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { services as shop } from '../../activities/services';
import { DEFAULT_LOCAL_TIMEOUTS } from '../../src/protocol';
import { DEFAULT_CONCURRENCY, participantPool } from '../../src/worker/participant-pool';

const root = resolve(__dirname, '../..');
const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly restart?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const compose = parse(text, { merge: true }) as Compose;
const all = Object.entries(compose.services);
const workers = all.filter(([, { command }]) => command?.[0] === 'node' && command[1]?.endsWith('/worker.js'));
const participants = workers.filter(([name]) => name !== 'transactions');
const servers = all.filter(([, { command }]) => command?.[0] === 'postgres');

/** What is compiled from the sources, of which dist/ is a mirror. */
const isCompiled = (script: string): boolean =>
  script.startsWith('dist/') && existsSync(join(root, script.replace(/^dist\//, '').replace(/\.js$/, '.ts')));

describe('docker-compose.yml', () => {
  it.each(all)('%s has a pinned image, or is built', (_, { image, build }) => {
    if (build !== undefined) return expect(existsSync(join(root, build, 'Dockerfile'))).toBe(true);
    // `${NAME:-1.2}` counts by its default.
    expect(image?.replace(/\$\{\w+:-([^}]+)\}/g, '$1')).toMatch(/^[\w./-]+:v?\d[\w.-]*$/);
  });

  it.each(all)('%s waits for services that exist, in a way that can come true', (_, { depends_on = {} }) => {
    for (const [name, { condition }] of Object.entries(depends_on)) {
      const target = compose.services[name];
      expect(target, `there is no service ${name}`).toBeDefined();
      if (condition === 'service_healthy') expect(target?.healthcheck, `${name} has no healthcheck`).toBeDefined();
      // What is restarted whenever it ends has never completed.
      else if (condition === 'service_completed_successfully') expect(target?.restart, name).toBeUndefined();
      else expect(condition).toBe('service_started');
    }
  });

  it('has no circle of services that wait for each other', () => {
    const reaches = (name: string, path: readonly string[]): string[] =>
      path.includes(name)
        ? [[...path, name].join(' → ')]
        : Object.keys(compose.services[name]?.depends_on ?? {}).flatMap((next) => reaches(next, [...path, name]));
    expect(all.flatMap(([name]) => reaches(name, []))).toEqual([]);
  });

  it('is open to this machine only', () => {
    const ports = all.flatMap(([, service]) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('mounts files and volumes that exist', () => {
    for (const [, { volumes = [] }] of all)
      for (const mount of volumes) {
        const [source = ''] = mount.split(':');
        if (source.startsWith('.')) expect(existsSync(join(root, source)), source).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(source);
      }
  });

  it('needs no variable to be set', () => {
    const interpolated = [...text.matchAll(/\$\{?[^}\s'"]*\}?/g)].map(([found]) => found);
    expect(interpolated.length).toBeGreaterThan(0);
    for (const variable of interpolated) expect(variable).toMatch(/^\$\{[A-Z_]+:-[^}]+\}$/);
  });

  it('starts files that exist', () => {
    const nodes = all.filter(([, { command }]) => command?.[0] === 'node');
    for (const [name, { command }] of nodes) expect(isCompiled(command?.[1] ?? ''), name).toBe(true);
    // A script that is run by path has to be mounted.
    for (const [, { entrypoint, volumes = [] }] of all.filter(([, { entrypoint }]) => entrypoint))
      expect(volumes.some((mount) => mount.includes(`:${entrypoint?.at(-1)}:`))).toBe(true);
  });
});

describe('the PostgreSQL servers of the services', () => {
  const settingOf = ({ command = [] }: Service, name: string): number =>
    Number(command.find((argument) => argument.startsWith(`${name}=`))?.split('=')[1]);

  it.each(servers)('%s takes prepared transactions, as many as connections', (_, server) => {
    expect(settingOf(server, 'max_prepared_transactions')).toBeGreaterThan(0);
    expect(settingOf(server, 'max_prepared_transactions')).toBeGreaterThanOrEqual(settingOf(server, 'max_connections'));
  });

  it.each(servers)('%s takes the connections of all its workers at their busiest', (name, server) => {
    const here = participants.filter(([, worker]) => new URL(databaseOf(worker)).hostname === name);
    const most = here.reduce((sum, [service]) => sum + mostConnectionsOf(service as keyof typeof shop), 0);
    expect(most).toBeGreaterThan(0);
    // PostgreSQL keeps three for those who administer it.
    expect(most).toBeLessThanOrEqual(settingOf(server, 'max_connections') - 3);
  });
});

describe('the workers', () => {
  it('are one for each service of the shop, and one for the workflows', () => {
    expect(workers.map(([name]) => name).sort()).toEqual([...Object.keys(shop), 'transactions'].sort());
  });

  it.each(participants)('%s runs the main module of its service', (name, { command }) => {
    expect(command?.[1]).toBe(`dist/activities/${shop[name as keyof typeof shop].folder}/worker.js`);
  });

  it.each(workers)('%s has a health check on the port that it is given, and is restarted', (_, worker) => {
    expect(worker.healthcheck?.test.join(' ')).toContain(`127.0.0.1:${worker.environment?.['TXN_HEALTH_PORT']}/health`);
    expect(worker.restart).toBe('unless-stopped');
  });

  it.each(workers)('%s reaches Temporal by its name in the network', (_, { environment = {} }) => {
    const [host = '', port] = environment['TEMPORAL_ADDRESS']?.split(':') ?? [];
    expect(compose.services[host]).toBeDefined();
    expect(port).toBe('7233');
    // Without TLS, off loopback.
    expect(environment['TXN_ALLOW_INSECURE']).toBe('1');
  });

  it.each(participants)('%s is given what its main module reads', (name, { environment = {} }) => {
    const folder = shop[name as keyof typeof shop].folder;
    const main = readFileSync(join(root, 'activities', folder, 'worker.ts'), 'utf8');
    const read = [...main.matchAll(/process\.env\['(\w+)'\]/g)].map(([, variable = '']) => variable);
    expect(Object.keys(environment)).toEqual(expect.arrayContaining([...read, 'DATABASE_URL']));
    // One declaration, several services: each says which one it is.
    if (folder !== name) expect(environment['SERVICE_NAME']).toBe(name);
  });

  it.each(participants)(
    '%s has a database of its own, as a role that does not own it, on a server that is there',
    (name, worker) => {
      const url = new URL(databaseOf(worker));
      expect([url.username, url.pathname]).toEqual([`${name}-worker`, `/${name}`]);
      expect(servers.map(([server]) => server)).toContain(url.hostname);
    },
  );

  it('share no database', () => {
    const databases = participants.map(([, worker]) => databaseOf(worker));
    expect(new Set(databases).size).toBe(databases.length);
  });

  it('find their database on the server on which the set-up creates it', () => {
    // The list is a constant of a script that runs when it is loaded: it is read, not imported.
    const setUp = readFileSync(join(root, 'demo/compose-setup.ts'), 'utf8');
    const onA = [...(/ON_SERVER_A[^=]*= \[([^\]]*)\]/.exec(setUp)?.[1] ?? '').matchAll(/'([\w-]+)'/g)].map(
      ([, name]) => name,
    );
    const used = participants.filter(([, worker]) => new URL(databaseOf(worker)).hostname === 'postgres-a');
    expect(used.map(([name]) => name).sort()).toEqual(onA.sort());
  });

  it('send mail to a server that is there', () => {
    const url = new URL(compose.services['notifications']?.environment?.['SMTP_URL'] ?? '');
    expect(compose.services[url.hostname]).toBeDefined();
  });
});

describe('traces', () => {
  const jaeger = compose.services['jaeger'];

  it.each(workers)('of %s go to a collector that is there, by OTLP over HTTP', (_, { environment = {} }) => {
    const { hostname, port, protocol } = new URL(environment['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '');
    expect(compose.services[hostname]).toBe(jaeger);
    // The port that is for that.
    expect([protocol, port]).toEqual(['http:', '4318']);
  });

  it('are sent by what reads that variable, in every main module', () => {
    const read = (file: string): string => readFileSync(join(root, file), 'utf8');
    expect(read('activities/tracing.ts')).toContain('OTEL_EXPORTER_OTLP_ENDPOINT');
    for (const main of ['activities/worker-main.ts', 'workflows/worker.ts'])
      expect(read(main)).toContain('await startTracing(');
  });

  it('can be looked at, also from Grafana', () => {
    expect(jaeger?.ports).toEqual(['127.0.0.1:16686:16686']);
    const folder = 'ops/grafana/provisioning/datasources';
    const sources = readdirSync(join(root, folder)).flatMap(
      (file) =>
        (parse(readFileSync(join(root, folder, file), 'utf8')) as { datasources: { type: string; url: string }[] })
          .datasources,
    );
    expect(sources.map(({ type }) => type).sort()).toEqual(['jaeger', 'prometheus']);
    for (const { url } of sources) expect(compose.services[new URL(url).hostname]).toBeDefined();
  });
});

describe('the set-up', () => {
  it('is given what it reads', () => {
    const source = readFileSync(join(root, 'demo/compose-setup.ts'), 'utf8');
    const read = [...source.matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g)].map(([, variable = '']) => variable);
    expect(read).toEqual(
      expect.arrayContaining(['POSTGRES_A_URL', 'POSTGRES_B_URL', 'OWNER_PASSWORD', 'SERVICE_PASSWORD']),
    );
    const given = Object.keys(compose.services['setup']?.environment ?? {});
    expect(given).toEqual(expect.arrayContaining(read.filter((variable) => variable !== 'ON_SERVER_A')));
  });
});

describe('docker/', () => {
  const files = readdirSync(join(root, 'docker'));

  it.each(files.filter((file) => file.endsWith('.sh')))('%s is a shell script', (file) => {
    const { status, stderr } = spawnSync('sh', ['-n', join(root, 'docker', file)], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it.each(files.filter((file) => file.endsWith('.yaml')))('%s is YAML', (file) => {
    expect(parse(readFileSync(join(root, 'docker', file), 'utf8'))).toBeTypeOf('object');
  });

  it('is all mounted somewhere', () => {
    expect(files.filter((file) => !text.includes(`./docker/${file}:`))).toEqual([]);
  });
});

describe('the creation of the namespace', () => {
  const NOT_READY = '1 Error: failed connecting to Temporal server: connection refused';
  const HEALTHY = '0 SERVING';
  const ABSENT = '1 Error: unable to describe namespace default: Namespace default is not found.';
  const PRESENT = '0 NamespaceInfo.Name default';
  const CREATE = 'operator namespace create --namespace default --retention 7d';

  /** Runs the script with a Temporal CLI that gives these answers, each a status and what it prints, and the last one for ever. */
  function create(...answers: readonly string[]) {
    const directory = mkdtempSync(join(tmpdir(), 'temporal-txn-namespace-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const [left, asked] = [join(directory, 'answers'), join(directory, 'asked')];
    writeFileSync(left, `${answers.join('\n')}\n`);
    writeFileSync(asked, '');
    const cli = [
      '#!/bin/sh',
      `echo "$*" >> '${asked}'`,
      `read -r status text < '${left}'`,
      `[ "$(wc -l < '${left}')" -eq 1 ] || { tail -n +2 '${left}' > '${left}.next'; mv '${left}.next' '${left}'; }`,
      'echo "$text"; exit "$status"',
    ].join('\n');
    writeFileSync(join(directory, 'temporal'), cli, { mode: 0o755 });
    writeFileSync(join(directory, 'sleep'), '#!/bin/sh\n', { mode: 0o755 });
    const { status, stderr } = spawnSync('sh', [join(root, 'docker/temporal-namespace.sh')], {
      encoding: 'utf8',
      env: { PATH: [directory, process.env['PATH']].join(delimiter) },
    });
    const made = readFileSync(asked, 'utf8')
      .split('\n')
      .filter((command) => command === CREATE);
    return { status, stderr, created: made.length };
  }

  it('waits until Temporal is healthy, and takes no passing failure for the absence of the namespace', () => {
    const passing = '1 Error: unable to describe namespace default: context deadline exceeded';
    expect(
      create(NOT_READY, NOT_READY, HEALTHY, passing, NOT_READY, HEALTHY, ABSENT, '0 Namespace default registered.'),
    ).toEqual({ status: 0, stderr: '', created: 1 });
  });

  it('creates none that is there, or that somebody else has created meanwhile', () => {
    expect(create(HEALTHY, PRESENT)).toEqual({ status: 0, stderr: '', created: 0 });
    const taken = '1 Error: unable to create namespace default: Namespace "default" already exists';
    expect(create(HEALTHY, ABSENT, taken, HEALTHY, PRESENT)).toEqual({ status: 0, stderr: '', created: 1 });
  });

  it('gives up in the end, and says why', () => {
    expect(create(NOT_READY)).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^Nothing was created: .* connection refused\n$/),
      created: 0,
    });
  });
});

describe('the Dockerfile', () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8');

  it('copies what exists before npm ci', () => {
    const [, sources = ''] = /^COPY ([^-\n]\S*(?: \S+)*) \.\/\n/m.exec(dockerfile) ?? [];
    expect(sources.split(' ').length).toBeGreaterThan(1);
    for (const source of sources.split(' ')) expect(existsSync(join(root, source)), source).toBe(true);
  });

  it('ends with a program that exists, as a user who is not root', () => {
    const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    expect(isCompiled((JSON.parse(command) as string[])[1] ?? '')).toBe(true);
    expect(dockerfile).toMatch(/^USER node$/m);
  });
});

/** Of the pools of its worker: that of the participant, that of its relay where it tells others, and that of its projections. */
function mostConnectionsOf(service: keyof typeof shop): number {
  const read = (file: string): string => readFileSync(join(root, 'activities', file), 'utf8');
  const [main, worker] = [read('worker-main.ts'), read(`${shop[service].folder}/worker.ts`)];
  const numberIn = (pattern: RegExp): number => Number(pattern.exec(main)?.[1]);
  const { max } = participantPool({}, DEFAULT_CONCURRENCY, DEFAULT_LOCAL_TIMEOUTS).options;
  const relay = worker.includes('tells: true') ? 2 * numberIn(/seats: (\d+)/) + 2 : 0;
  return max + relay + (worker.includes('projections: [') ? numberIn(/new Pool\(.*max: (\d+)/) : 0);
}

// The password comes with a variable, whose default stands for it here.
const databaseOf = ({ environment = {} }: Service): string =>
  (environment['DATABASE_URL'] ?? '').replace(/\$\{\w+:-([^}]+)\}/g, '$1');
