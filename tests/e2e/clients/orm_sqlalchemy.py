"""SQLAlchemy: orm_sqlalchemy.py URL, whose scheme names dialect and driver (postgresql+psycopg2, mysql+pymysql)."""

import sys
import threading

from sqlalchemy import (JSON, Column, DateTime, ForeignKey, Integer, Numeric, String, create_engine, func, inspect,
                        select, text)
from sqlalchemy.orm import Session, declarative_base, relationship
from steps import step

engine = create_engine(sys.argv[1], pool_size=4, max_overflow=0, future=True)
Base = declarative_base()


class User(Base):
    __tablename__ = "sa_users"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), index=True)
    data = Column(JSON)
    orders = relationship("Order", back_populates="user", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "sa_orders"
    id = Column(Integer, primary_key=True)
    user_id = Column(ForeignKey("sa_users.id"))
    total = Column(Numeric(10, 2))
    at = Column(DateTime, server_default=func.now())
    user = relationship("User", back_populates="orders")


def add():
    with Session(engine) as session:
        session.add_all([User(name=f"u{i}", data={"i": i}, orders=[Order(total=i * 1.5), Order(total=2)])
                         for i in range(30)])
        session.commit()
        return session.scalar(select(func.count()).select_from(Order))


def join():
    with Session(engine) as session:
        return session.execute(select(User.name, func.sum(Order.total)).join(Order).group_by(User.name)
                               .order_by(User.name).limit(3)).all()


def seen_by_another_session():
    with Session(engine) as one, Session(engine) as other:
        before = other.scalar(select(User.name).where(User.id == 3))
        other.rollback()
        one.get(User, 3).name = "changed"
        one.commit()
        return before, other.scalar(select(User.name).where(User.id == 3))


def nested():
    with Session(engine) as session:
        session.add(User(name="outer"))
        try:
            with session.begin_nested():
                session.add(User(id=1, name="twice"))
                session.flush()
        except Exception as error:
            print("  inner:", type(error).__name__)
        session.commit()
        return session.scalar(select(func.count()).where(User.name == "outer"))


def locked():
    with Session(engine) as session:
        return len(session.execute(select(User).where(User.id < 4).with_for_update()).scalars().all())


def streamed():
    with engine.connect() as connection:
        result = connection.execution_options(stream_results=True, max_row_buffer=10).execute(select(Order.id))
        return sum(1 for _ in result)


def isolated(level):
    with engine.connect().execution_options(isolation_level=level) as connection:
        connection.execute(text("insert into sa_users(name) values ('isolated')"))
        return connection.execute(text("select count(*) from sa_users")).scalar()


def described():
    it = inspect(engine)
    return ([c["name"] for c in it.get_columns("sa_users")], [k["referred_table"] for k in it.get_foreign_keys("sa_orders")],
            [i["name"] for i in it.get_indexes("sa_users")], it.has_table("sa_none"))


def executed_many():
    with engine.begin() as connection:
        connection.execute(User.__table__.insert(), [{"name": f"m{i}", "data": [i]} for i in range(200)])
    with engine.begin() as connection:
        return connection.execute(User.__table__.delete().where(User.name.like("m%"))).rowcount


def threads():
    wrong = []

    def work(me):
        for round in range(10):
            with Session(engine) as session:
                session.add(Order(user_id=me, total=1000 + me))
                session.commit()
                seen = session.scalar(select(func.count()).where(Order.total == 1000 + me))
                if seen != round + 1:
                    wrong.append((me, round, seen))

    working = [threading.Thread(target=work, args=(me,)) for me in range(1, 5)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return wrong


def wrong_column():
    with engine.connect() as connection:
        connection.execute(text("select nosuch from sa_users"))


Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)
for name, action in [("add", add), ("join", join), ("seen", seen_by_another_session), ("nested", nested),
                     ("locked", locked), ("streamed", streamed), ("serializable", lambda: isolated("SERIALIZABLE")),
                     ("autocommit", lambda: isolated("AUTOCOMMIT")), ("described", described),
                     ("many", executed_many), ("threads", threads), ("wrong column", wrong_column)]:
    step(name, action)
Base.metadata.drop_all(engine)
engine.dispose()
