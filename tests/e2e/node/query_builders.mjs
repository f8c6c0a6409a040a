// knex, Sequelize and MikroORM, one after the other: query_builders.mjs URL. Each step prints its name and what came
// of it, or the error, and nothing that differs from run to run: the output straight to a server and through the
// proxy can be compared.
import knexOf from 'knex';
import { DataTypes, Sequelize } from 'sequelize';

const url = new URL(process.argv[2]);
const isPostgres = url.protocol.startsWith('postgres');
const login = { host: url.hostname, port: Number(url.port), user: url.username, password: url.password,
  database: url.pathname.slice(1) };

async function step(name, action) {
  try {
    console.log(name, JSON.stringify(await action()));
  } catch (error) {
    console.log(name, 'failed:', error.constructor.name, error.code, error.message.split('\n')[0].slice(-100));
  }
}

const numbers = (count) => [...Array(count).keys()];

async function knex() {
  const db = knexOf({ client: isPostgres ? 'pg' : 'mysql2', connection: login, pool: { min: 0, max: 5 } });
  const count = async () => Number((await db('kn').count({ n: '*' }))[0].n);
  await step('knex schema', async () => {
    await db.schema.dropTableIfExists('kn');
    await db.schema.createTable('kn', (t) => { t.increments(); t.string('name').unique(); t.json('data'); });
    await db.schema.alterTable('kn', (t) => { t.integer('more').index(); });
    return [await db.schema.hasTable('kn'), Object.keys(await db('kn').columnInfo()).sort()];
  });
  await step('knex batch', async () => {
    await db.batchInsert('kn', numbers(100).map((i) => ({ name: `n${i}`, data: JSON.stringify({ i }) })), 30);
    return count();
  });
  await step('knex savepoint', () => db.transaction(async (one) => {
    await one('kn').insert({ name: 'kept' });
    await one.transaction(async (two) => {
      await two('kn').insert({ name: 'gone' });
      throw new Error('taken back');
    }).catch(() => {});
    return one('kn').whereIn('name', ['kept', 'gone']).pluck('name');
  }));
  await step('knex serializable', () => db.transaction(count, { isolationLevel: 'serializable' }));
  await step('knex merge', async () => {
    await db('kn').insert({ name: 'n1', more: 5 }).onConflict('name').merge();
    return db('kn').where({ name: 'n1' }).pluck('more');
  });
  await step('knex stream', async () => {
    let rows = 0;
    for await (const _ of db('kn').stream()) rows++;
    return rows;
  });
  await step('knex fresh', async () => {
    const before = await count();
    await db('kn').insert({ name: 'fresh' });
    return (await count()) - before;
  });
  await step('knex at once', () => Promise.all(numbers(12).map(async (i) => {
    await db('kn').where({ name: `n${i}` }).update({ more: i });
    return (await db('kn').where({ name: `n${i}` }).first()).more;
  })));
  await step('knex wrong', () => db('kn').select('nosuch'));
  await db.schema.dropTable('kn');
  await db.destroy();
}

async function sequelize() {
  const db = new Sequelize(login.database, login.user, login.password,
    { host: login.host, port: login.port, dialect: isPostgres ? 'postgres' : 'mysql', logging: false, pool: { max: 5 } });
  const User = db.define('sq', { name: { type: DataTypes.STRING, unique: 'sq_name' }, data: DataTypes.JSON,
    more: { type: DataTypes.INTEGER, defaultValue: 0 }, kind: DataTypes.ENUM('a', 'b') }, { freezeTableName: true });
  const named = (name) => ({ where: { name } });
  await step('sequelize sync', async () => { await db.sync({ force: true }); await db.sync({ alter: true }); });
  await step('sequelize bulk', async () => {
    await User.bulkCreate(numbers(30).map((i) => ({ name: `n${i}`, data: { i }, kind: 'a' })));
    return [await User.count(), await User.sum('more')];
  });
  await step('sequelize taken back', async () => {
    await db.transaction(async (transaction) => {
      await User.create({ name: 'x' }, { transaction });
      throw new Error('taken back');
    }).catch(() => {});
    return User.count(named('x'));
  });
  await step('sequelize locked', () => db.transaction(async (transaction) =>
    (await User.findOne({ ...named('n1'), lock: transaction.LOCK.UPDATE, transaction })).name));
  await step('sequelize find or create', async () =>
    [(await User.findOrCreate(named('new')))[1], (await User.findOrCreate(named('new')))[1]]);
  await step('sequelize upsert', async () => {
    await User.upsert({ name: 'n1', more: 3 });
    return (await User.findOne(named('n1'))).more;
  });
  await step('sequelize at once', () => Promise.all(numbers(12).map(async (i) => {
    await db.transaction((transaction) => User.increment('more', { by: i, ...named(`n${10 + i}`), transaction }));
    return (await User.findOne(named(`n${10 + i}`))).more;
  })));
  await step('sequelize columns', async () => {
    const queries = db.getQueryInterface();
    await queries.addColumn('sq', 'late', DataTypes.INTEGER);
    const names = Object.keys(await queries.describeTable('sq'));
    await queries.removeColumn('sq', 'late');
    return names;
  });
  await step('sequelize twice', () => User.create({ name: 'n1' }));
  await User.drop({});
  await db.close();
}

async function mikro() {
  const { MikroORM, EntitySchema, LockMode } = await import(isPostgres ? '@mikro-orm/postgresql' : '@mikro-orm/mysql');
  const id = { type: 'number', primary: true, autoincrement: true };
  const User = new EntitySchema({ name: 'User', tableName: 'mi_user', properties: { id, name: { type: 'string', unique: true },
    more: { type: 'number', default: 0 }, posts: { kind: '1:m', entity: () => 'Post', mappedBy: 'user' } } });
  const Post = new EntitySchema({ name: 'Post', tableName: 'mi_post', properties: { id, title: { type: 'string' },
    user: { kind: 'm:1', entity: () => 'User' } } });
  const orm = await MikroORM.init({ dbName: login.database, ...login, entities: [User, Post], pool: { min: 0, max: 5 },
    ensureDatabase: false });
  const fork = () => orm.em.fork();
  await step('mikro schema', () => orm.schema.refresh());
  await step('mikro flush', async () => {
    const manager = fork();
    for (const i of numbers(20)) {
      manager.create('Post', { title: 't', user: manager.create('User', { name: `u${i}`, more: 0 }) });
    }
    await manager.flush();
    return manager.count('User');
  });
  await step('mikro populate', async () =>
    (await fork().find('User', {}, { populate: ['posts'], orderBy: { id: 1 }, limit: 2 })).map((u) => [u.name, u.posts.length]));
  await step('mikro taken back', async () => {
    await fork().transactional(async (manager) => {
      manager.create('User', { name: 'x', more: 0 });
      await manager.flush();
      throw new Error('taken back');
    }).catch(() => {});
    return fork().count('User', { name: 'x' });
  });
  await step('mikro locked', () => fork().transactional(async (manager) =>
    (await manager.findOne('User', { name: 'u1' }, { lockMode: LockMode.PESSIMISTIC_WRITE })).name));
  await step('mikro at once', () => Promise.all(numbers(10).map(async (i) => {
    const manager = fork();
    (await manager.findOneOrFail('User', { name: `u${i}` })).more += i;
    await manager.flush();
    return (await fork().findOne('User', { name: `u${i}` })).more;
  })));
  await step('mikro twice', () => fork().insert('User', { name: 'u1', more: 0 }));
  await orm.schema.drop();
  await orm.close();
}

await knex();
await sequelize();
await mikro();
