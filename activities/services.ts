/** The services of this example, by the name that their workers have, and the files that make up their databases. */
interface DatabaseFiles {
  /** Below activities/; its schema.sql makes the tables. */
  readonly folder: string;
  /** In that folder: the rows that it opens with. */
  readonly seed: string;
}

export const services = {
  'north-bank': { folder: 'accounts', seed: 'seed.north-bank.sql' },
  'south-bank': { folder: 'accounts', seed: 'seed.south-bank.sql' },
  audit: { folder: 'audit', seed: 'seed.sql' },
  inventory: { folder: 'inventory', seed: 'seed.sql' },
  payments: { folder: 'payments', seed: 'seed.sql' },
  shipping: { folder: 'shipping', seed: 'seed.sql' },
  orders: { folder: 'orders', seed: 'seed.sql' },
  savings: { folder: 'savings', seed: 'seed.sql' },
  notifications: { folder: 'notifications', seed: 'seed.sql' },
  airline: { folder: 'travel', seed: 'seed.airline.sql' },
  hotel: { folder: 'travel', seed: 'seed.hotel.sql' },
  'car-rental': { folder: 'travel', seed: 'seed.car-rental.sql' },
} as const satisfies Record<string, DatabaseFiles>;

export type ServiceName = keyof typeof services;
