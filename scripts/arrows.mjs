/**
 * Who may import what, as dependency-cruiser rules. Code is divided by where it runs: a room of src/ meets the others at
 * their index only, and what runs in Temporal's workflow sandbox reaches nothing but what is pure.
 */
import { builtinModules } from 'node:module';

const npm = (names) => `(^|/)node_modules/(@types/)?(${names})/`;
const builtin = `^(node:)?(${builtinModules.join('|')})$`;
const index = '^src/[^/]+/index\\.ts$';
/** What puts a process together: the main module of a worker, and what all of them do. */
const workerMain = '/(worker(-main)?|tracing)\\.ts$';
const typeOnly = ['type-only', 'pre-compilation-only'];

/** Rooms that put other rooms together, and so may import any room's index. */
const assemblers = '^src/(worker|cli|dev|testing)/';
/** Rooms that report what happens, and so may import the names of metrics and search attributes. */
const observed = '^src/(participant|client|workflow|outbox|tracing)/';
const applications = '^(workflows|activities|clients)/';
/** What Temporal loads into the workflow sandbox, except worker mains that happen to lie beside it. */
const sandboxed = { path: '^(src/(workflow|protocol)|workflows)/', pathNot: workerMain };
/** What a traced worker loads there besides. */
const tracedSandbox = '^src/tracing/workflow-interceptors\\.ts$';
const openTelemetry = npm('@opentelemetry/[^/]+|@temporalio/interceptors-opentelemetry');

/** Held by every import, types included: they say what a room knows. */
export const sourceRules = [
  {
    name: 'rooms-meet-at-the-index',
    comment: 'A room is entered by its index.ts; its other files are its own business.',
    from: { path: '^src/([^/]+)/' },
    to: { path: '^src/', pathNot: ['^src/$1/', index] },
  },
  {
    name: 'rooms-know-only-protocol',
    comment: 'A room imports ../protocol and itself; worker, cli, dev and testing put rooms together.',
    from: { path: '^src/([^/]+)/', pathNot: [assemblers, observed] },
    to: { path: index, pathNot: '^src/($1|protocol)/' },
  },
  {
    name: 'observed-rooms-know-only-protocol-and-observability',
    comment:
      'participant, client and workflow import ../protocol, ../observability and themselves; the first two ../resilience, the client ../encryption.',
    from: { path: observed, pathNot: '^src/outbox/' },
    to: { path: index, pathNot: ['^src/($1|protocol|observability)/', '^src/(resilience|encryption)/'] },
  },
  {
    name: 'outbox-stands-on-the-participant-side',
    comment:
      'The outbox is beside the same service and in the same database: it runs local transactions as participants do.',
    from: { path: '^src/outbox/' },
    to: { path: index, pathNot: '^src/(outbox|participant|protocol|observability)/' },
  },
  {
    name: 'protocol-imports-nothing',
    comment:
      'The protocol cores are pure code that workflows run and the explorer explores: no npm package, types excepted.',
    from: { path: '^src/protocol/' },
    to: { pathNot: '^src/', dependencyTypesNot: typeOnly },
  },
  {
    name: 'tracing-is-optional',
    comment:
      'Who does not trace has not installed OpenTelemetry: nothing of src/ needs it but src/tracing, and nothing needs that.',
    from: { path: '^src/', pathNot: '^src/tracing/' },
    to: { path: ['^src/tracing/', openTelemetry] },
  },
  {
    name: 'library-knows-no-application',
    comment: 'src/ is published; workflows, activities, clients and tests are not.',
    from: { path: '^src/' },
    to: { path: '^(workflows|activities|clients|demo|test|bench|scripts)/' },
  },
  {
    name: 'applications-use-the-package-name',
    comment: 'Business code imports temporal-txn/<room> as a user of the package does, never a path into src/.',
    from: { path: applications },
    to: { path: '^src/', dependencyTypesNot: ['aliased'] },
  },
  {
    name: 'applications-use-public-subpaths',
    comment: 'Only what a room lists in its index is public.',
    from: { path: applications },
    to: { path: '^src/', pathNot: index },
  },
  {
    name: 'workflows-know-only-the-workflow-room',
    comment:
      'Workflow types import temporal-txn/workflow, @temporalio/workflow, each other, and the types of activities.',
    from: { path: '^workflows/', pathNot: workerMain },
    to: { pathNot: ['^(workflows|activities)/', '^src/workflow/', npm('@temporalio/(workflow|common)')] },
  },
  {
    name: 'workflows-know-activities-by-type',
    comment: 'An activity is code of another process: a workflow imports its type and schedules it.',
    from: { path: '^workflows/', pathNot: workerMain },
    to: { path: '^activities/', dependencyTypesNot: typeOnly },
  },
  {
    name: 'activities-know-only-the-participant-side',
    comment:
      'Operations import temporal-txn/participant and /outbox; how a worker is put together is for worker.ts files.',
    from: { path: '^activities/', pathNot: workerMain },
    to: { path: '^src/', pathNot: '^src/(participant|outbox)/' },
  },
  {
    name: 'activity-workers-know-only-the-worker-side',
    comment: 'A worker main puts a participant and its worker together; it starts no transactions and tests nothing.',
    from: { path: `^activities/.*${workerMain}` },
    to: { path: '^src/', pathNot: '^src/(participant|outbox|worker|observability)/' },
  },
  {
    name: 'activities-know-no-caller',
    comment: 'A service does not know who calls it.',
    from: { path: '^activities/' },
    to: { path: '^(workflows|clients|demo|test|bench)/' },
  },
];

/** Held by what is left after compilation, over any number of steps: they say what ends up in a workflow bundle. */
export const runtimeRules = [
  {
    name: 'sandbox-reaches-only-pure-code',
    comment:
      "Workflow code replays: it reaches no database, no clock, no node builtin and none of Temporal's other sides.",
    from: sandboxed,
    to: {
      reachable: true,
      pathNot: ['^(src/(workflow|protocol|observability)|workflows)/', npm('@temporalio/(workflow|common)')],
    },
  },
  {
    name: 'traced-sandbox-reaches-only-pure-code',
    comment:
      'Temporal loads it into the sandbox of every traced workflow; its own interceptors and OpenTelemetry are made for that.',
    from: { path: tracedSandbox },
    to: {
      reachable: true,
      pathNot: ['^src/(tracing|protocol|observability)/', npm('@temporalio/(workflow|common)'), openTelemetry],
    },
  },
  {
    name: 'observability-stays-pure',
    comment: 'Workflow code imports the names of metrics and search attributes from here.',
    from: { path: '^src/observability/' },
    to: { reachable: true, path: [builtin, npm('pg|@temporalio/(client|worker|activity|testing)'), openTelemetry] },
  },
];
