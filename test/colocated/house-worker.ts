/** The house as a process that a test kills. */
import { openHouse } from './house';

const { NORTH_DATABASE_URL = '', SOUTH_DATABASE_URL = '', TXN_HEALTH_PORT } = process.env;

openHouse({
  databases: { 'north-bank': NORTH_DATABASE_URL, 'south-bank': SOUTH_DATABASE_URL },
  colocated: ['north-bank', 'south-bank'],
  healthPort: Number(TXN_HEALTH_PORT),
})
  .then(({ coordinator }) => coordinator.stopped)
  .catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
