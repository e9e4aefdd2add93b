// The package loaded twice: the app's part is CommonJS, the worker's an ES module.

import { createRequire } from 'node:module'
import express from 'express'
import { startExpiryWorker } from 'express-order-timers'
import { DataTypes, Sequelize } from 'sequelize'
import { runShop } from './shop.mjs'

const commonjs = createRequire(import.meta.url)('express-order-timers')
if (commonjs.startExpiryWorker === startExpiryWorker) throw new Error('it was loaded once')
await runShop({ express, Sequelize, DataTypes, ...commonjs, startExpiryWorker })
