/**
 * How many transfers a second a real cluster makes, on paper: as many as the scarcest of its resources allows. Each resource allows what
 * there is of it, divided by what one transfer takes; the latter is measured, what a cluster has is assumed.
 */
import type { Price, Prices, Way } from './prices';
import { PARTS } from './usage';

/** What a cluster has. */
export interface Cluster {
  /** Processors of the services that use transactions, of the coordinators, of each bank's workers, of each bank's database. */
  readonly clients: number;
  readonly coordinators: number;
  readonly participants: number;
  readonly databases: number;
  /** Of Temporal's four services, without its database. */
  readonly temporal: number;
  readonly frontends: number;
  readonly shards: number;
}

/** What is not measured here. */
export interface Assumption {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly from: string;
}

export const ASSUMED = {
  busy: {
    what: 'how busy a processor is to be at most',
    value: 0.7,
    unit: '',
    from: 'a usual margin: above it, queues grow faster than throughput',
  },
  shardWriteMs: {
    what: "a write of Temporal's history to its database",
    value: 5,
    unit: 'ms',
    from: 'a replicated database in one region; measure `persistence_latency` of yours',
  },
  shardWritesAtOnce: {
    what: 'writes of one history shard at a time',
    value: 1,
    unit: '',
    from: "Temporal's `history.shardIOConcurrency`, whose default is 1",
  },
  persistenceCommits: {
    what: "writes a second that Temporal's database takes",
    value: 20_000,
    unit: '/s',
    from: 'one large PostgreSQL server, or a few nodes of Cassandra; measure yours',
  },
  frontendRequests: {
    what: 'requests a second that one frontend takes',
    value: 2_400,
    unit: '/s',
    from: "Temporal's `frontend.rps`, whose default is 2400",
  },
  databaseCommits: {
    what: "commits a second that one bank's database takes",
    value: 5_000,
    unit: '/s',
    from: 'forced to a disk in the network, several with one flush; `pgbench -N` tells that of yours',
  },
} as const satisfies Record<string, Assumption>;

/** An example: what a larger service has. */
export const EXAMPLE: Cluster = {
  clients: 8,
  coordinators: 16,
  participants: 8,
  databases: 16,
  temporal: 32,
  frontends: 4,
  shards: 512,
};

/** One thing that there is not more of than there is. */
export interface Resource {
  readonly name: string;
  /** In words. */
  readonly formula: string;
  /** Transfers a second that it allows. */
  readonly allows: number;
}

const { busy, shardWriteMs, shardWritesAtOnce, persistenceCommits, frontendRequests, databaseCommits } = ASSUMED;
const BANKS = 2;
/** That of `grouping`, where none is given. */
const IN_FLIGHT = 2;

/** Each step of a workflow that its history keeps is a write of the shard: its start, and begin and end of each task and activity. */
export const shardWrites = ({ workflows, workflowTasks, activities }: Price): number =>
  workflows + 2 * (workflowTasks + activities);

/** Start and wait, and for each task and activity one that fetches it and one that answers. */
export const frontendCalls = ({ workflows, workflowTasks, activities }: Price): number =>
  2 * (workflows + workflowTasks + activities);

export function resourcesOf(prices: Prices, way: Way, cluster: Cluster): readonly Resource[] {
  const price = prices[way];
  const { cpuMs } = price;
  const processors = (name: string, count: number, ms: number): Resource => ({
    name,
    formula: 'processors × busy ÷ CPU',
    allows: (count * busy.value * 1000) / ms,
  });
  return [
    processors('clients', cluster.clients, cpuMs.client),
    ...(way === 'grouped' ? [groupsOf(price, cluster)] : []),
    processors('coordinators', cluster.coordinators, cpuMs.coordinator),
    processors("North Bank's workers", cluster.participants, cpuMs['north-bank']),
    processors("South Bank's workers", cluster.participants, cpuMs['south-bank']),
    processors("each bank's PostgreSQL", cluster.databases, cpuMs.postgres / BANKS),
    {
      name: "each bank's commits",
      formula: 'commits a second ÷ commits',
      allows: databaseCommits.value / price.commits,
    },
    processors("Temporal's services", cluster.temporal, cpuMs.temporal),
    {
      name: "Temporal's frontends",
      formula: 'frontends × requests a second ÷ requests',
      allows: (cluster.frontends * frontendRequests.value) / frontendCalls(price),
    },
    {
      name: "Temporal's history shards",
      formula: 'shards × busy × writes at a time ÷ (writes × time of a write)',
      allows:
        (cluster.shards * busy.value * shardWritesAtOnce.value * 1000) / (shardWrites(price) * shardWriteMs.value),
    },
    {
      name: "Temporal's database",
      formula: 'writes a second ÷ writes',
      allows: persistenceCommits.value / shardWrites(price),
    },
  ];
}

/**
 * What is done for a group is done one after the other, by its client, its coordinator and one bank after the other: each of those under
 * way keeps about one processor busy. A client is one process: as many as it has processors.
 */
const groupsOf = ({ cpuMs }: Price, { clients }: Cluster): Resource => ({
  name: 'groups under way',
  formula: 'clients × inFlight ÷ CPU of all',
  allows: (clients * IN_FLIGHT * 1000) / PARTS.reduce((sum, part) => sum + cpuMs[part], 0),
});

/** The resource that there is too little of. */
export const scarcest = (resources: readonly Resource[]): Resource =>
  resources.reduce((least, one) => (one.allows < least.allows ? one : least));

/** A cluster that has so many times as much of everything that one adds machines for. Shards are chosen when it is set up, and stay. */
export const times = (cluster: Cluster, factor: number, shards: number): Cluster => ({
  clients: cluster.clients * factor,
  coordinators: cluster.coordinators * factor,
  participants: cluster.participants * factor,
  databases: cluster.databases * factor,
  temporal: cluster.temporal * factor,
  frontends: cluster.frontends * factor,
  shards,
});

export const throughputOf = (prices: Prices, way: Way, cluster: Cluster): Resource =>
  scarcest(resourcesOf(prices, way, cluster));
