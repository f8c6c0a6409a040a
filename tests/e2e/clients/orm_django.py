"""Django's ORM, its migrations and its commands: orm_django.py postgresql|mysql HOST PORT USER PASSWORD DATABASE."""

import io
import sys
import threading

import django
from django.conf import settings

backend, host, port, user, password, database = sys.argv[1:]
settings.configure(
    SECRET_KEY="x", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DATABASES={"default": {
        "ENGINE": f"django.db.backends.{backend}", "NAME": database, "USER": user, "PASSWORD": password,
        "HOST": host, "PORT": port, "CONN_MAX_AGE": 60,
        # As behind any pooler that lends connections for a transaction; Django's documentation says so.
        "DISABLE_SERVER_SIDE_CURSORS": True}})
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, connections, transaction  # noqa: E402
from django.db.models import Count, Exists, F, OuterRef, Window  # noqa: E402
from django.db.models.functions import RowNumber, TruncDay  # noqa: E402
from steps import step  # noqa: E402


def added():
    for i in range(20):
        group = Group.objects.create(name=f"g{i}")
        users = User.objects.bulk_create([User(username=f"u{i}-{j}", first_name=str(j)) for j in range(3)])
        if users[0].pk is None:
            users = User.objects.filter(username__startswith=f"u{i}-")
        group.user_set.set(users)
    return User.objects.count()


def taken_back():
    try:
        with transaction.atomic():
            Group.objects.create(name="z")
            try:
                with transaction.atomic():
                    Group.objects.create(name="g1")
            except IntegrityError:
                Group.objects.create(name="y")
            raise ValueError
    except ValueError:
        return Group.objects.filter(name__in=["y", "z"]).count()


def locked():
    with transaction.atomic():
        return [g.name for g in Group.objects.select_for_update().filter(name__in=["g1", "g2"]).order_by("name")]


def threads():
    wrong = []

    def work(me):
        for round in range(10):
            with transaction.atomic():
                Group.objects.create(name=f"t{me}-{round}")
            seen = Group.objects.filter(name__startswith=f"t{me}-").count()
            if seen != round + 1:
                wrong.append((me, round, seen))
        connections.close_all()

    working = [threading.Thread(target=work, args=(me,)) for me in range(4)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return wrong


def output_of(*command, **options):
    out = io.StringIO()
    call_command(*command, stdout=out, **options)
    return len(out.getvalue().splitlines())


call_command("migrate", verbosity=0)
users = User.objects.order_by("username")
ranked = User.objects.annotate(rank=Window(RowNumber(), order_by=F("username").asc()))
for name, action in [
        ("added", added), ("taken back", taken_back), ("locked", locked), ("threads", threads),
        ("iterated", lambda: sum(1 for _ in users.iterator(chunk_size=7))),
        ("counted", lambda: list(Group.objects.annotate(n=Count("user")).order_by("name").values_list("name", "n")[:3])),
        ("updated", lambda: (users.update(last_name=F("first_name")), users.first().last_name)),
        ("got or created", lambda: (Group.objects.get_or_create(name="g1")[1], Group.objects.get_or_create(name="new")[1])),
        ("ignored", lambda: Group.objects.bulk_create([Group(name="g1"), Group(name="n2")], ignore_conflicts=True)
         and Group.objects.count()),
        ("prefetched", lambda: [g.user_set.all().count() for g in Group.objects.prefetch_related("user_set")[:3]]),
        ("exists", lambda: Group.objects.filter(Exists(User.objects.filter(groups=OuterRef("pk")))).count()),
        ("ranked", lambda: list(ranked.order_by("username").values_list("rank", flat=True)[:4])),
        ("days", lambda: User.objects.annotate(day=TruncDay("date_joined")).values("day").distinct().count()),
        ("raw", lambda: len(list(User.objects.raw("select * from auth_user where username = %s", ["u1-1"])))),
        ("permissions", lambda: Permission.objects.count()),
        ("inspected", lambda: output_of("inspectdb")), ("nothing to do", lambda: output_of("migrate", "--plan")),
        ("usable", lambda: connection.is_usable())]:
    step(name, action)
call_command("flush", verbosity=0, interactive=False)
step("flushed", lambda: User.objects.count())
connections.close_all()
