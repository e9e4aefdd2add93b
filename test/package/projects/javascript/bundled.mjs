// To be bundled as CommonJS, which knows no await outside of a function.

import express from 'express'
import { OrderTimersError, orderTimers, startExpiryWorker, transition } from 'express-order-timers'
import pg from 'pg'
import { Sequelize as Base, DataTypes } from 'sequelize'
import { runShop } from './shop.mjs'

/** Sequelize asks for its driver by a name that no bundler sees. */
class Sequelize extends Base {
  constructor(url, options) {
    super(url, { ...options, dialectModule: pg })
  }
}

void runShop({ express, Sequelize, DataTypes, orderTimers, startExpiryWorker, transition, OrderTimersError })
