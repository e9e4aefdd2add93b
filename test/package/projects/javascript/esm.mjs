import express from 'express'
import { OrderTimersError, orderTimers, startExpiryWorker, transition } from 'express-order-timers'
import { DataTypes, Sequelize } from 'sequelize'
import { runShop } from './shop.mjs'

await runShop({ express, Sequelize, DataTypes, orderTimers, startExpiryWorker, transition, OrderTimersError })
