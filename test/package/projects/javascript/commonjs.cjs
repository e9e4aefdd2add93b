const express = require('express')
const { OrderTimersError, orderTimers, startExpiryWorker, transition } = require('express-order-timers')
const { DataTypes, Sequelize } = require('sequelize')

void import('./shop.mjs').then(({ runShop }) =>
  runShop({ express, Sequelize, DataTypes, orderTimers, startExpiryWorker, transition, OrderTimersError }),
)
