// What happened to the orders, written by Postgres itself: a trigger that fires as a transaction commits notes each change of status by
// Postgres's clock. So lateness is measured where the promise is made, and an order that moved twice shows.

import { QueryTypes, type Sequelize } from 'sequelize'

export interface StatusChange {
  to: number
  /** Milliseconds since 1970, with a fraction. */
  at: number
}

export class StatusChanges {
  private constructor(
    private readonly sequelize: Sequelize,
    private readonly schema: string,
  ) {}

  static async record(sequelize: Sequelize, schema: string): Promise<StatusChanges> {
    await sequelize.query(`
      CREATE TABLE "${schema}".status_changes (order_id int, "to" int, at timestamptz);

      CREATE FUNCTION "${schema}".note_status_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        INSERT INTO "${schema}".status_changes VALUES (NEW.id, NEW.status, clock_timestamp());
        RETURN NULL;
      END $$;

      CREATE CONSTRAINT TRIGGER note_status_change AFTER UPDATE ON "${schema}".orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION "${schema}".note_status_change();
    `)
    return new StatusChanges(sequelize, schema)
  }

  async of(orderId: number): Promise<StatusChange[]> {
    return this.sequelize.query<StatusChange>(
      `SELECT "to", (extract(epoch FROM at) * 1000)::float8 AS at FROM "${this.schema}".status_changes WHERE order_id = :orderId ORDER BY at`,
      { replacements: { orderId }, type: QueryTypes.SELECT },
    )
  }

  /** Postgres's clock, in milliseconds since 1970. */
  async now(): Promise<number> {
    const [row] = await this.sequelize.query<{ now: number }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now', {
      type: QueryTypes.SELECT,
    })
    return (row as { now: number }).now
  }
}
