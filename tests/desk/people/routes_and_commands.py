"""Every route and command of the desk with its permission, written by hand: a change of one is a change here."""

ROUTES = """
GET  /                                            SEE_QUEUE
POST /assign                                      ASSIGN_CASES
GET  /cases/<case_id>                             SEE_QUEUE
POST /cases/<case_id>/about                       LINK_CASES
POST /cases/<case_id>/advise                      ADVISE
POST /cases/<case_id>/account                     LINK_CASES
POST /cases/<case_id>/assess                      ASSESS_CASES
GET  /cases/<case_id>/ask                         ASK_SERVICES
POST /cases/<case_id>/ask                         ASK_SERVICES
POST /cases/<case_id>/ask/accounts                ASK_SERVICES
GET  /service-requests/<action_id>                READ_CASES
POST /service-requests/<action_id>/letter         ASK_SERVICES
POST /service-requests/<action_id>/read           READ_CASES
POST /service-requests/<action_id>/sent           ASK_SERVICES
POST /service-requests/<action_id>/withdraw       ASK_SERVICES
POST /cases/<case_id>/claim                       TAKE_CASES
POST /cases/<case_id>/close                       ASSESS_CASES
POST /cases/<case_id>/erase                      DESTROY_CASES
POST /cases/<case_id>/exempt                      EXEMPT_CASES
POST /cases/<case_id>/files/<evidence_id>         OPEN_FILES
POST /cases/<case_id>/files/<evidence_id>/look    OPEN_FILES
POST /cases/<case_id>/hand-over                   TAKE_CASES
POST /cases/<case_id>/hold                        HOLD_CASES
POST /cases/<case_id>/lift-hold                   HOLD_CASES
POST /cases/<case_id>/link                        LINK_CASES
POST /cases/<case_id>/move                        RAISE_CASES
POST /cases/<case_id>/no-reply                    ASSESS_CASES
POST /cases/<case_id>/outcome                     TELL_OUTCOMES
POST /cases/<case_id>/outcome/take-back           TELL_OUTCOMES
POST /cases/<case_id>/package/draft               MAKE_PACKAGES
POST /cases/<case_id>/package/preview             MAKE_PACKAGES
POST /cases/<case_id>/package/start               MAKE_PACKAGES
POST /cases/<case_id>/pass-on                     SEND_ON
POST /cases/<case_id>/child-outcome               SEND_ON
POST /cases/<case_id>/read                        READ_CASES
POST /cases/<case_id>/release                     TAKE_CASES
POST /cases/<case_id>/reopen                      ASSESS_CASES
POST /cases/<case_id>/reply                       REPLY
POST /cases/<case_id>/reply/preview               REPLY
POST /cases/<case_id>/reply/send                  REPLY
POST /cases/<case_id>/reply/start                 REPLY
POST /cases/<case_id>/take-over                   TAKE_CASES
POST /cases/<case_id>/unlink                      LINK_CASES
POST /cases/<case_id>/whole                       READ_CASES
POST /cases/<case_id>/confirm-match               LINK_CASES
POST /cases/<case_id>/refuse-match                LINK_CASES
GET  /cases/<case_id>/requests                    ANSWER_REQUESTS
POST /cases/<case_id>/requests                    ANSWER_REQUESTS
POST /cases/<case_id>/requests/answer             ANSWER_REQUESTS
POST /cases/<case_id>/requests/export             ANSWER_REQUESTS
POST /cases/<case_id>/requests/text               ANSWER_REQUESTS
GET  /requests                                    ANSWER_REQUESTS
GET  /cases/<case_id>/referral                    REFER_TERMS
POST /cases/<case_id>/referral                    REFER_TERMS
GET  /referrals/<action_id>                       REFER_TERMS
POST /referrals/<action_id>/release               RELEASE_NOTICES
POST /referrals/<action_id>/withdraw              REFER_TERMS
GET  /service-alerts                              ALERT_SERVICES
POST /service-alerts                              ALERT_SERVICES
GET  /service-alerts/new                          ALERT_SERVICES
GET  /service-alerts/<alert_id>                   ALERT_SERVICES
POST /service-alerts/<alert_id>/read              ALERT_SERVICES
POST /service-alerts/<alert_id>/release           RELEASE_NOTICES
POST /service-alerts/<alert_id>/alone             ALERT_ALONE
POST /service-alerts/<alert_id>/entries           ALERT_SERVICES
POST /service-alerts/<alert_id>/close             ALERT_SERVICES
GET  /invitations                                 SEE_INVITATIONS
POST /invitations                                 MANAGE_PARTNERS
GET  /invitations/<action_id>                     SEE_INVITATIONS
GET  /invitations/<action_id>/letter              MANAGE_PARTNERS
POST /invitations/<action_id>/release             RELEASE_NOTICES
POST /invitations/<action_id>/sent                MANAGE_PARTNERS
POST /invitations/<action_id>/answer              MANAGE_PARTNERS
POST /invitations/<action_id>/withdraw            MANAGE_PARTNERS
GET  /destinations                                SEE_QUEUE
GET  /packages                                    RELEASE_PACKAGES
GET  /packages/<action_id>                        READ_CASES
POST /packages/<action_id>/file                   MAKE_PACKAGES
POST /packages/<action_id>/read                   READ_CASES
POST /packages/<action_id>/release                RELEASE_PACKAGES
POST /packages/<action_id>/send-alone             SEND_PACKAGES_ALONE
POST /packages/<action_id>/sent                   MAKE_PACKAGES
POST /packages/<action_id>/withdraw               MAKE_PACKAGES
GET  /search                                      SEARCH_CASES
POST /search                                      SEARCH_CASES
POST /keys                                        SEE_QUEUE
GET  /manual-entry                                 ENTER_REPORTS
POST /manual-entry                                 ENTER_REPORTS
GET  /manual-entry/<report_id>                          ENTER_REPORTS
GET  /quarantine                                  SEE_QUARANTINE
POST /quarantine/try-again                        SEE_QUARANTINE
POST /quarantine/<number>/accept                  RESOLVE_QUARANTINE
POST /quarantine/<number>/open                    RESOLVE_QUARANTINE
POST /quarantine/<number>/dismiss                 RESOLVE_QUARANTINE
GET  /actions                                     SEE_QUEUE
GET  /actions/<action_id>                         READ_CASES
POST /actions/<action_id>/again                   READ_CASES
POST /actions/<action_id>/end                     READ_CASES
POST /actions/<action_id>/read                    READ_CASES
POST /actions/<action_id>/record                  READ_CASES
POST /actions/<action_id>/write                   READ_CASES
GET  /outbox                                      SEE_OUTBOX
POST /outbox/<number>/retry                       SEND_AGAIN
POST /alerts/<number>/acknowledge                 TAKE_ALERTS
GET  /duty                                        TAKE_ALERTS
GET  /duty/alerts/<secret>                        TAKE_ALERTS
POST /duty/alerts/<secret>                        TAKE_ALERTS
GET  /duty/hand-over                              TAKE_CASES
POST /duty/hand-over                              TAKE_CASES
POST /duty/hand-over/take                         TAKE_CASES
GET  /digests                                     SEE_DIGESTS
POST /digests                                     MAKE_DIGESTS
POST /digests/overview                            MAKE_DIGESTS
GET  /digests/<digest_id>                         SEE_DIGESTS
POST /digests/<digest_id>/propose                 RELEASE_DIGESTS
POST /digests/<digest_id>/publish                 RELEASE_DIGESTS
POST /digests/<digest_id>/public-file             RELEASE_DIGESTS
POST /digests/<digest_id>/reject                  RELEASE_DIGESTS
POST /digests/<digest_id>/release                 RELEASE_DIGESTS
GET  /audit                                       READ_AUDIT
POST /audit/export                                READ_AUDIT
GET  /exposure                                    SEE_EXPOSURE
GET  /figures                                     SEE_FIGURES
GET  /retention                                   SEE_RETENTION
GET  /retention/<destruction_id>/certificate      SEE_RETENTION
POST /retention/<destruction_id>/sign             DESTROY_CASES
POST /retention/<destruction_id>/stop             DESTROY_CASES
POST /retention/<destruction_id>/withdraw         DESTROY_CASES
POST /retention/draft                             DESTROY_CASES
POST /sign-out                                    SIGN_OUT
GET  /passkeys                                    SIGN_OUT
POST /passkeys                                    SIGN_OUT
POST /passkeys/<number>/acknowledge               SIGN_OUT
POST /passkeys/<number>/acknowledge/begin         SIGN_OUT
POST /passkeys/<number>/end                       SIGN_OUT
POST /passkeys/begin                              SIGN_OUT
POST /passkeys/confirm                            SIGN_OUT
POST /passkeys/confirm/<key_sha256>/begin         SIGN_OUT
POST /step-up                                       SIGN_OUT
POST /step-up/begin                                 SIGN_OUT
POST /releases/<number>/begin                     SIGN_OUT
GET  /recoveries                                  RECOVER_PASSKEYS
POST /recoveries                                  RECOVER_PASSKEYS
POST /recoveries/<number>                         RECOVER_PASSKEYS
"""
# Every route below these paths.
OF_PARTNERS = ("/partners", "/placement", "/adoption")
COMMANDS = """
SEE_QUEUE          case list
OPEN_FILES         evidence save
MAKE_PACKAGES      package save
SEE_QUARANTINE     quarantine
IMPORT_REPORTS     import
SIGN_OFF           signoff give, signoff list, signoff withdraw
CLEAR_ALARMS       alarms
DESTROY_CASES      retention run
SEE_RETENTION      retention verify
SEE_DIGESTS        digest list, service list
MAKE_DIGESTS       synthetic
CHECK_AUDIT        audit check, people verify-releases
PUBLISH            publish
RUN_DESK           collect, case index, lock, outbox send, serve, unlock, vault
MANAGE_PARTNERS    service merge, service part
MANAGE_KEYS        audit accept-loss
"""
# Every command of these groups.
GROUPS = {
    "audit": "MANAGE_KEYS",
    **dict.fromkeys(("partner", "placement"), "MANAGE_PARTNERS"),
    **dict.fromkeys(("keys", "gateway"), "MANAGE_KEYS"),
    "people": "MANAGE_PEOPLE",
}
# For the holder of the state folder: they run before there are people, or when the database cannot be read.
FOR_ALL = {"init", "doctor", "move-database", "stale-data"}
