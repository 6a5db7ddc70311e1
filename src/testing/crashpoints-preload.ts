/** Arms the crash points of a process from its environment, and from the file that it names. For `node --require`. */
import { crashOrdersFrom } from './crash-orders';
import { armCrashpoints, armCrashpointsFrom } from './crashpoints';

const { TXN_CRASHPOINT, TXN_CRASHPOINT_FILE } = process.env;
const orders = crashOrdersFrom(TXN_CRASHPOINT);
if (TXN_CRASHPOINT_FILE === undefined) armCrashpoints(orders);
else armCrashpointsFrom(TXN_CRASHPOINT_FILE, orders);
