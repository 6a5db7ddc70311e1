/** Arms the crash points of a process from its environment. For `node --require`. */
import { armCrashpoints, crashOrdersFrom } from './crashpoints';

armCrashpoints(crashOrdersFrom(process.env['TXN_CRASHPOINT']));
