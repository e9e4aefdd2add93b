// Removes a shop that was opened for one run, once it is closed.

import { Sequelize } from 'sequelize'

export async function dropSchema(databaseUrl: string, schema: string): Promise<void> {
  const sequelize = new Sequelize(databaseUrl, { logging: false })
  await sequelize.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`).finally(() => sequelize.close())
}
