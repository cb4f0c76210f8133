# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = (
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=20)),
                ("worker_id", models.CharField(max_length=100)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("state", models.CharField(max_length=10)),
                ("result", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField()),
                ("leased_until", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={"ordering": ("-started_at", "-id")},
        ),
    )
