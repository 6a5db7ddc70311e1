/**
 * Prisma's client for a schema of one model. It is the real client at its real version; only the description of the schema below,
 * which `prisma generate` 7.10.0 makes, is kept here: the generator wants to download an engine that the client does not use, and
 * PRISMA_SCHEMA_ENGINE_BINARY=/bin/true keeps it from that where this has to be made anew.
 *
 *     generator client { provider = "prisma-client" … }
 *     datasource db { provider = "postgresql" }
 *     model Business { id String @id  @@map("business") }
 */
import { getPrismaClient } from '@prisma/client/runtime/client';
import { PrismaPg } from '@prisma/adapter-pg';

/** Node has it, and its types leave it to those of browsers. */
declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => object };

/** The parts without types. */
const part = (name: string): Promise<unknown> => import(`@prisma/client/runtime/query_compiler_fast_bg.${name}.js`);

const schema = {
  previewFeatures: [],
  clientVersion: '7.10.0',
  engineVersion: '0edf323efd1d98336f3f0a68684b56f689b900d3',
  activeProvider: 'postgresql',
  inlineSchema:
    'generator client {\n  provider     = "prisma-client"\n  output       = "../generated"\n  moduleFormat = "cjs"\n}\n\ndatasource db {\n  provider = "postgresql"\n}\n\nmodel Business {\n  id String @id\n\n  @@map("business")\n}\n',
  runtimeDataModel: {
    models: {
      Business: { fields: [{ name: 'id', kind: 'scalar', type: 'String' }], dbName: 'business', schema: null },
    },
    enums: {},
    types: {},
  },
  parameterizationSchema: {
    strings: [
      'where',
      'Business.findUnique',
      'Business.findUniqueOrThrow',
      'orderBy',
      'cursor',
      'Business.findFirst',
      'Business.findFirstOrThrow',
      'Business.findMany',
      'data',
      'Business.createOne',
      'Business.createMany',
      'Business.createManyAndReturn',
      'Business.updateOne',
      'Business.updateMany',
      'Business.updateManyAndReturn',
      'create',
      'update',
      'Business.upsertOne',
      'Business.deleteOne',
      'Business.deleteMany',
      'having',
      '_count',
      '_min',
      '_max',
      'Business.groupBy',
      'Business.aggregate',
      'AND',
      'OR',
      'NOT',
      'id',
      'equals',
      'in',
      'notIn',
      'lt',
      'lte',
      'gt',
      'gte',
      'contains',
      'startsWith',
      'endsWith',
      'not',
      'set',
    ],
    graph:
      'JAkQBBoAAB8AMBsAAAQAEBwAAB8AMB0BAAAAAQEAAAABACABAAAAAQAgBBoAAB8AMBsAAAQAEBwAAB8AMB0BACAAIQADAAAABAAgAwAABQAwBAAAAQAgAwAAAAQAIAMAAAUAMAQAAAEAIAMAAAAEACADAAAFADAEAAABACABHQEAAAABAQgAAAkAIAEdAQAAAAEBCAAACwAwAQgAAAsAMAEdAQAkACECAAAAAQAgCAAADgAgAR0BACQAIQIAAAAEACAIAAAQACACAAAABAAgCAAAEAAgAwAAAAEAIA8AAAkAIBAAAA4AIAEAAAABACABAAAABAAgAxUAACEAIBYAACMAIBcAACIAIAQaAAAaADAbAAAXABAcAAAaADAdAQAbACEDAAAABAAgAwAAFgAwFAAAFwAgAwAAAAQAIAMAAAUAMAQAAAEAIAQaAAAaADAbAAAXABAcAAAaADAdAQAbACEOFQAAHQAgFgAAHgAgFwAAHgAgHgEAAAABHwEAAAAEIAEAAAAEIQEAAAABIgEAAAABIwEAAAABJAEAAAABJQEAAAABJgEAAAABJwEAAAABKAEAHAAhDhUAAB0AIBYAAB4AIBcAAB4AIB4BAAAAAR8BAAAABCABAAAABCEBAAAAASIBAAAAASMBAAAAASQBAAAAASUBAAAAASYBAAAAAScBAAAAASgBABwAIQgeAgAAAAEfAgAAAAQgAgAAAAQhAgAAAAEiAgAAAAEjAgAAAAEkAgAAAAEoAgAdACELHgEAAAABHwEAAAAEIAEAAAAEIQEAAAABIgEAAAABIwEAAAABJAEAAAABJQEAAAABJgEAAAABJwEAAAABKAEAHgAhBBoAAB8AMBsAAAQAEBwAAB8AMB0BACAAIQseAQAAAAEfAQAAAAQgAQAAAAQhAQAAAAEiAQAAAAEjAQAAAAEkAQAAAAElAQAAAAEmAQAAAAEnAQAAAAEoAQAeACEAAAABKQEAAAABAAAAAAMVAAYWAAcXAAgAAAADFQAGFgAHFwAIAQIBAgMBBQYBBgcBBwgBCQoBCgwCCw0DDA8BDRECDhIEERMBEhQBExUCGBgFGRkJ',
  },
};

const Client = getPrismaClient({
  ...schema,
  compilerWasm: {
    getRuntime: () => part('postgresql'),
    getQueryCompilerWasmModule: async () => {
      const { wasm } = (await part('postgresql.wasm-base64')) as { wasm: string };
      return new WebAssembly.Module(Buffer.from(wasm, 'base64'));
    },
    importName: './query_compiler_fast_bg.js',
  },
} as unknown as Parameters<typeof getPrismaClient>[0]);

/** What is used here of the types that the generator makes, which have the same signatures. */
interface Raw {
  $queryRawUnsafe<T = unknown>(query: string, ...values: unknown[]): Promise<T>;
  readonly business: { create(args: { data: { id: string } }): Promise<unknown> };
}

export interface PrismaClient extends Raw {
  $connect(): Promise<void>;
  $disconnect(): Promise<void>;
  $transaction<R>(work: (tx: Raw) => Promise<R>): Promise<R>;
}

export const prismaClient = (connectionString: string): PrismaClient =>
  new Client({ adapter: new PrismaPg({ connectionString }) }) as unknown as PrismaClient;
