# event: {"rows": [["a", 1], ["b", 2], ["c", 3]]}
import sqlite3


def lambda_handler(event, context):
    database = sqlite3.connect("/tmp/orders.db")
    database.execute("drop table if exists orders")
    database.execute("create table orders (name text primary key, amount int)")
    with database:
        database.executemany("insert into orders values (?, ?)", event["rows"])
    try:
        with database:
            database.execute("insert into orders values ('a', 9)")
    except sqlite3.IntegrityError as error:
        problem = str(error)
    total = database.execute("select sum(amount), max(name) from orders where amount > 1").fetchone()
    database.close()
    return {"total": total, "problem": problem}
