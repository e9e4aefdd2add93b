// An error that the client caused and may be told of, in the shape that Express's error handlers expect.

export class HttpError extends Error {
  readonly expose = true

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}
