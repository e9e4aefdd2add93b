// How often a process sends a heartbeat, and checks for a worker's. A killed worker is missed after 5 s of silence by a check every 2 s, so within
// 10 s; a worker may stand still for 3 s without being missed.

/** The intervals of heartbeats, in milliseconds. */
export interface BeatTimes {
  worker: number
  web: number
  /** How often a web process checks between its heartbeats whether a worker still sends some. */
  look: number
  /** A web process that has found a problem checks more often, to notice its end. */
  doubting: number
  /** The first heartbeat of a web process after it has mounted the timers, or used them. */
  first: number
  /** In Postgres: the first row of a worker, that of a web process, and every further one. */
  firstRowOfWorker: number
  row: number
  /** How long after the start nothing is reported. */
  quietStart: number
}

export const BEAT_TIMES: BeatTimes = {
  worker: 1_500,
  web: 15_000,
  look: 2_000,
  doubting: 2_000,
  first: 5_000,
  firstRowOfWorker: 5_000,
  row: 60_000,
  quietStart: 30_000,
}
