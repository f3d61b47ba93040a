"""Programs of SQLAlchemy, on sqlite in memory."""

import sqlalchemy
from sqlalchemy import orm


class Base(orm.DeclarativeBase):
    """Where the tables are declared."""


class User(Base):
    """A user, who knows the addresses."""

    __tablename__ = "user"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    addresses: orm.Mapped[list["Address"]] = orm.relationship(back_populates="user")


class Address(Base):
    """An address, which knows its user."""

    __tablename__ = "address"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sqlalchemy.ForeignKey("user.id"))
    user: orm.Mapped[User] = orm.relationship(back_populates="addresses")


def back_references():
    """ORM objects with back references, and a commit that fails."""
    engine = sqlalchemy.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(User(name="ada", addresses=[Address(), Address()]))
        session.commit()
        session.add(User(name="ada"))
        try:
            session.commit()
        except sqlalchemy.exc.IntegrityError:
            session.rollback()
        user = session.scalars(sqlalchemy.select(User)).one()
        assert user.addresses[0].user is user
    engine.dispose()


def tables_per_call():
    """Tables and mapped classes declared at run time."""
    registry = orm.registry()

    @registry.mapped
    class Node:
        __tablename__ = "node"
        key = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        parent_key = sqlalchemy.Column(sqlalchemy.ForeignKey("node.key"))
        children = orm.relationship("Node", backref=orm.backref("parent", remote_side=[key]))

    engine = sqlalchemy.create_engine("sqlite://")
    registry.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(Node(children=[Node(), Node()]))
        session.commit()
    engine.dispose()
    registry.dispose()
