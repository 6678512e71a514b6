"""The half of the desk's baseline (`versions/r1_baseline.py`) that is about partners, placements, digests and keys."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText


def make_partner_side() -> None:
    """Make these tables."""
    _make_account()
    _make_placement()
    _make_adoption()
    _make_digest()
    _make_partner()
    _make_outcome()
    _make_context()
    _make_key()


def _make_account() -> None:
    op.create_table(
        "account_changes",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("change_id", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("reason", PlainText),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("statement", sa.LargeBinary()),
        sa.Column("old_key_id", PlainText),
        sa.Column("new_key_id", PlainText),
        sa.Column("received_at", PlainText, nullable=False),
        sa.Column("decided_at", PlainText),
        sa.Column("decided_by", PlainText),
        sa.PrimaryKeyConstraint("partner", "change_id", name=op.f("pk_account_changes")),
    )
    op.execute("CREATE INDEX ix_account_changes_state_received_at ON account_changes (state, received_at)")


def _make_placement() -> None:
    op.create_table(
        "adopters",
        sa.Column("owner", PlainText, nullable=False),
        sa.Column("name", PlainText, nullable=False),
        sa.Column("added_at", PlainText, nullable=False),
        sa.Column("added_by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_adopters")),
    )
    op.create_table(
        "service_merges",
        sa.Column("id", Number, nullable=False),
        sa.Column("service", PlainText, nullable=False),
        sa.Column("into", PlainText),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_merges")),
    )
    op.create_table(
        "placement_checks",
        sa.Column("id", Number, nullable=False),
        sa.Column("placement", PlainText, nullable=False),
        sa.Column("address", PlainText, nullable=False),
        sa.Column("checked_at", PlainText, nullable=False),
        sa.Column("method", PlainText, nullable=False),
        sa.Column("checker", PlainText, nullable=False),
        sa.Column("result", PlainText, nullable=False),
        sa.Column("named", PlainText),
        sa.Column("faults", Number, nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=False),
        sa.Column("taken_at", PlainText, nullable=False),
        sa.Column("channel", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_checks")),
        sa.UniqueConstraint(
            "placement",
            "address",
            "method",
            "checked_at",
            name=op.f("uq_placement_checks_placement_address_method_checked_at"),
        ),
    )
    op.execute("CREATE INDEX ix_placement_checks_placement_checked_at ON placement_checks (placement, checked_at)")
    op.create_table(
        "placement_history",
        sa.Column("id", Number, nullable=False),
        sa.Column("placement", PlainText, nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.Column("deed", PlainText, nullable=False),
        sa.Column("reason", PlainText),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_history")),
    )
    op.execute("CREATE INDEX ix_placement_history_placement ON placement_history (placement)")
    op.create_table(
        "placements",
        sa.Column("placement", PlainText, nullable=False),
        sa.Column("owner", PlainText, nullable=False),
        sa.Column("service", PlainText, nullable=False),
        sa.Column("surface", PlainText, nullable=False),
        sa.Column("address", PlainText, nullable=False),
        sa.Column("look_at", PlainText),
        sa.Column("position", PlainText, nullable=False),
        sa.Column("agreed_on", PlainText, nullable=False),
        sa.Column("agreed_by", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("state_at", PlainText, nullable=False),
        sa.Column("state_by", PlainText, nullable=False),
        sa.Column("state_reason", PlainText),
        sa.PrimaryKeyConstraint("placement", name=op.f("pk_placements")),
    )
    op.execute("CREATE INDEX ix_placements_look_at ON placements (look_at)")
    op.execute("CREATE INDEX ix_placements_owner ON placements (owner)")
    op.create_table(
        "runner_tokens",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", PlainText, nullable=False),
        sa.Column("made_by", PlainText, nullable=False),
        sa.Column("ended_at", PlainText),
        sa.Column("ended_by", PlainText),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_runner_tokens")),
    )


def _make_adoption() -> None:
    op.create_table(
        "adoption_places",
        sa.Column("placement", PlainText, nullable=False),
        sa.Column("request_id", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("placement", name=op.f("pk_adoption_places")),
    )
    op.execute("CREATE INDEX ix_adoption_places_request_id ON adoption_places (request_id)")
    op.create_table(
        "adoption_requests",
        sa.Column("request_id", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", PlainText, nullable=False),
        sa.Column("owner", PlainText),
        sa.Column("reason", PlainText),
        sa.Column("decided_at", PlainText),
        sa.Column("decided_by", PlainText),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_adoption_requests")),
    )
    op.execute("CREATE INDEX ix_adoption_requests_state_received_at ON adoption_requests (state, received_at)")


def _make_digest() -> None:
    op.create_table(
        "digest_draws",
        sa.Column("digest_id", PlainText, nullable=False),
        sa.Column("table_name", PlainText, nullable=False),
        sa.Column("draw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest_id", "table_name", name=op.f("pk_digest_draws")),
    )
    op.create_table(
        "digest_steps",
        sa.Column("id", Number, nullable=False),
        sa.Column("digest_id", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText),
        sa.Column("reason", PlainText),
        sa.Column("message_id", PlainText),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_steps")),
        sa.UniqueConstraint("digest_id", "state", name=op.f("uq_digest_steps_digest_id_state")),
    )
    op.create_table(
        "digests",
        sa.Column("digest_id", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("quarter", PlainText, nullable=False),
        sa.Column("workings", sa.LargeBinary(), nullable=False),
        sa.Column("clusters", sa.LargeBinary(), nullable=False),
        sa.Column("clusters_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("frozen_at", PlainText, nullable=False),
        sa.Column("frozen_by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("digest_id", name=op.f("pk_digests")),
        sa.UniqueConstraint("partner", "quarter", name=op.f("uq_digests_partner_quarter")),
    )
    op.create_table(
        "ledger",
        sa.Column("id", Number, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("quarter", PlainText, nullable=False),
        sa.Column("table_name", PlainText, nullable=False),
        sa.Column("micro_epsilon", Number, nullable=False),
        sa.Column("clusters_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("committed_at", PlainText, nullable=False),
        sa.CheckConstraint("micro_epsilon > 0", name=op.f("ck_ledger_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.execute("CREATE INDEX ix_ledger_partner_quarter ON ledger (partner, quarter)")


def _make_partner() -> None:
    op.create_table(
        "enrolments",
        sa.Column("id", PlainText, nullable=False),
        sa.Column("secret_sha256", PlainText, nullable=False),
        sa.Column("partner", PlainText),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("reason", PlainText),
        sa.Column("key_id", PlainText),
        sa.Column("submission_key", sa.LargeBinary()),
        sa.Column("context_key", sa.LargeBinary()),
        sa.Column("mailbox_key", sa.LargeBinary()),
        sa.Column("received_at", PlainText, nullable=False),
        sa.Column("decided_at", PlainText),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolments")),
    )
    op.create_table(
        "former_partner_keys",
        sa.Column("key_id", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("submission_key", sa.LargeBinary(), nullable=False),
        sa.Column("ended_at", PlainText, nullable=False),
        sa.Column("revoked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("context_key", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_former_partner_keys")),
    )
    op.create_table(
        "invitations",
        sa.Column("secret_sha256", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("name", PlainText, nullable=False),
        sa.Column("environment", PlainText, nullable=False),
        sa.Column("expires_at", PlainText, nullable=False),
        sa.Column("made_at", PlainText, nullable=False),
        sa.Column("published_at", PlainText),
        sa.Column("used_at", PlainText),
        sa.Column("type", PlainText),
        sa.Column("country", PlainText),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_invitations")),
    )
    op.create_table(
        "partners",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("name", PlainText, nullable=False),
        sa.Column("environment", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("key_id", PlainText, nullable=False),
        sa.Column("submission_key", sa.LargeBinary(), nullable=False),
        sa.Column("context_key", sa.LargeBinary(), nullable=False),
        sa.Column("mailbox_key", sa.LargeBinary(), nullable=False),
        sa.Column("approved_at", PlainText, nullable=False),
        sa.Column("approved_by", PlainText, nullable=False),
        sa.Column("suspended_at", PlainText),
        sa.Column("revoked_at", PlainText),
        sa.Column("type", PlainText, server_default=sa.text("'service'"), nullable=False),
        sa.Column("country", PlainText),
        sa.PrimaryKeyConstraint("partner", name=op.f("pk_partners")),
        sa.UniqueConstraint("key_id", name=op.f("uq_partners_key_id")),
    )


def _make_outcome() -> None:
    op.create_table(
        "outcome_signals",
        sa.Column("signal_id", PlainText, nullable=False),
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("outcome", PlainText, nullable=False),
        sa.Column("decided_at", PlainText, nullable=False),
        sa.Column("decided_by", PlainText, nullable=False),
        sa.Column("held_until", PlainText, nullable=False),
        sa.Column("released_at", PlainText),
        sa.Column("taken_back_at", PlainText),
        sa.Column("taken_back_by", PlainText),
        sa.Column("message_id", PlainText),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("pk_outcome_signals")),
    )
    op.execute("CREATE INDEX ix_outcome_signals_case_id ON outcome_signals (case_id)")
    op.execute("CREATE INDEX ix_outcome_signals_partner_released_at ON outcome_signals (partner, released_at)")


def _make_context() -> None:
    op.create_table(
        "page_contexts",
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("partner", PlainText),
        sa.Column("context_id", PlainText),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_page_contexts")),
    )
    op.execute("CREATE INDEX ix_page_contexts_token_sha256 ON page_contexts (token_sha256)")


def _make_key() -> None:
    op.create_table(
        "publications",
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("serial", Number, nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", PlainText, nullable=False),
        sa.Column("published_at", PlainText),
        sa.PrimaryKeyConstraint("kind", "serial", name=op.f("pk_publications")),
    )
    op.create_table(
        "sealing_keys",
        sa.Column("key_id", PlainText, nullable=False),
        sa.Column("quarter", PlainText, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", PlainText, nullable=False),
        sa.Column("seal_until", PlainText, nullable=False),
        sa.Column("open_until", PlainText, nullable=False),
        sa.Column("destroyed_at", PlainText),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_sealing_keys")),
        sa.UniqueConstraint("quarter", name=op.f("uq_sealing_keys_quarter")),
    )
    op.create_table(
        "verify_keys",
        sa.Column("role", PlainText, nullable=False),
        sa.Column("key_id", PlainText, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", PlainText, nullable=False),
        sa.Column("use_until", PlainText, nullable=False),
        sa.Column("verify_until", PlainText, nullable=False),
        sa.Column("instance", PlainText),
        sa.PrimaryKeyConstraint("role", "key_id", name=op.f("pk_verify_keys")),
    )
