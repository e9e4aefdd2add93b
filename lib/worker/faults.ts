// A worker's faults: what is wrong at present, by code and by what it is about.

import { type FaultOf, FaultsOf } from '../faults.js'
import type { FaultCode } from './events.js'

export type { FaultReport } from '../faults.js'

/** Something that is wrong at present. */
export type Fault = FaultOf<FaultCode>

export class Faults extends FaultsOf<FaultCode> {}
