//! The operations of the Junos XML protocol.

use super::{check, check_invalid, check_missing, timeout};
use crate::netconf::capability::{Capabilities, Capability};
use crate::netconf::junos::{
    AtTime, ClearSystemCommit, CloseConfiguration, CommitConfiguration, Format, GetCommitInformation,
    GetCommitRevision, LoadAction, LoadConfiguration, LoadData, LockConfiguration, OpenConfiguration,
    SaveRescueConfiguration, UnlockConfiguration,
};
use crate::netconf::operation::testing::{everything, fragment};

fn junos() -> Capabilities {
    Capabilities::new([Capability::JunosXml.uri()])
}

fn url(text: &str) -> String {
    text.to_owned()
}

/// S12, S14, S20, S21, S24, S25, S27, S28: the operations of the Junos XML protocol.
#[test]
fn junos_operations_are_byte_exact() {
    let all = junos();
    let data = |action, data| LoadConfiguration::Data { action, data }.rpc(&all);
    let xml = || LoadData::Xml(fragment("<configuration><system/></configuration>"));
    let from = |format| LoadData::Url {
        url: url("/var/tmp/f"),
        format,
    };
    let plain = CommitConfiguration::default;
    check(vec![
        ("S21", LockConfiguration.rpc(&all), "<lock-configuration/>"),
        ("S21", UnlockConfiguration.rpc(&all), "<unlock-configuration/>"),
        (
            "S24",
            OpenConfiguration::Private.rpc(&all),
            "<open-configuration><private/></open-configuration>",
        ),
        (
            "S25",
            OpenConfiguration::Ephemeral.rpc(&all),
            "<open-configuration><ephemeral/></open-configuration>",
        ),
        (
            "S25",
            OpenConfiguration::EphemeralInstance("eph-1_A".into()).rpc(&all),
            "<open-configuration><ephemeral-instance>eph-1_A</ephemeral-instance></open-configuration>",
        ),
        ("S24", CloseConfiguration.rpc(&all), "<close-configuration/>"),
        (
            "S12 merge",
            data(LoadAction::Merge, xml()),
            "<load-configuration format=\"xml\"><configuration><system/></configuration></load-configuration>",
        ),
        (
            "S12 replace",
            data(LoadAction::Replace, xml()),
            "<load-configuration action=\"replace\" format=\"xml\"><configuration><system/></configuration></load-configuration>",
        ),
        (
            "S12 override",
            data(LoadAction::Override, xml()),
            "<load-configuration action=\"override\" format=\"xml\"><configuration><system/></configuration></load-configuration>",
        ),
        (
            "S12 update",
            data(LoadAction::Update, xml()),
            "<load-configuration action=\"update\" format=\"xml\"><configuration><system/></configuration></load-configuration>",
        ),
        (
            "S12 text, W9",
            data(
                LoadAction::Replace,
                LoadData::Text("replace:\nsystem { message \"a & <b>\"; }\n".into()),
            ),
            "<load-configuration action=\"replace\" format=\"text\"><configuration-text>replace:\n\
             system { message \"a &amp; &lt;b&gt;\"; }\n</configuration-text></load-configuration>",
        ),
        (
            "S12 set, W9",
            data(
                LoadAction::Set,
                LoadData::Set("set a \"]]>]]>\"\ndelete b".into()),
            ),
            "<load-configuration action=\"set\" format=\"text\"><configuration-set>set a \"]]&gt;]]&gt;\"\ndelete b\
             </configuration-set></load-configuration>",
        ),
        (
            "S12 json",
            data(
                LoadAction::Merge,
                LoadData::Json("{\"configuration\":{\"@\":{\"a\":1}}}".into()),
            ),
            "<load-configuration format=\"json\"><configuration-json>{\"configuration\":{\"@\":{\"a\":1}}}\
             </configuration-json></load-configuration>",
        ),
        (
            "S12 json",
            data(LoadAction::Update, LoadData::Json("{}".into())),
            "<load-configuration action=\"update\" format=\"json\"><configuration-json>{}</configuration-json></load-configuration>",
        ),
        (
            "S12 url",
            data(LoadAction::Merge, from(Format::Xml)),
            "<load-configuration url=\"/var/tmp/f\" format=\"xml\"/>",
        ),
        (
            "S12 url",
            data(LoadAction::Override, from(Format::Text)),
            "<load-configuration url=\"/var/tmp/f\" action=\"override\" format=\"text\"/>",
        ),
        (
            "S12 url",
            data(LoadAction::Set, from(Format::Set)),
            "<load-configuration url=\"/var/tmp/f\" action=\"set\" format=\"text\"/>",
        ),
        (
            "S12 url",
            data(LoadAction::Merge, from(Format::Json)),
            "<load-configuration url=\"/var/tmp/f\" format=\"json\"/>",
        ),
        (
            "S12 rollback",
            LoadConfiguration::Rollback(0).rpc(&all),
            "<load-configuration rollback=\"0\"/>",
        ),
        (
            "S12 rollback",
            LoadConfiguration::Rollback(49).rpc(&all),
            "<load-configuration rollback=\"49\"/>",
        ),
        (
            "S12 rescue",
            LoadConfiguration::Rescue.rpc(&all),
            "<load-configuration rescue=\"rescue\"/>",
        ),
        (
            "S12 rescue",
            SaveRescueConfiguration.rpc(&all),
            "<request-save-rescue-configuration/>",
        ),
        ("S27", plain().rpc(&all), "<commit-configuration/>"),
        (
            "S14",
            CommitConfiguration {
                check: true,
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><check/></commit-configuration>",
        ),
        (
            "S14",
            CommitConfiguration {
                check: true,
                synchronize: true,
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><synchronize/><check/></commit-configuration>",
        ),
        (
            "S27 log, E3",
            CommitConfiguration {
                log: Some("a & <b>".into()),
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><log>a &amp; &lt;b&gt;</log></commit-configuration>",
        ),
        (
            "S27 at-time",
            CommitConfiguration {
                at_time: AtTime::parse("2026-08-21 15:30:00").ok(),
                log: Some("x".into()),
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><at-time>2026-08-21 15:30:00</at-time><log>x</log></commit-configuration>",
        ),
        (
            "S27 cleared",
            ClearSystemCommit.rpc(&all),
            "<clear-system-commit/>",
        ),
        (
            "S27 synchronize",
            CommitConfiguration {
                synchronize: true,
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><synchronize/></commit-configuration>",
        ),
        (
            "S27 force-synchronize",
            CommitConfiguration {
                force_synchronize: true,
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><synchronize/><force-synchronize/></commit-configuration>",
        ),
        (
            "S27 full",
            CommitConfiguration {
                full: true,
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><full/></commit-configuration>",
        ),
        (
            "S28, C1: minutes, rounded up",
            CommitConfiguration {
                confirmed: Some(timeout(61)),
                synchronize: true,
                full: true,
                log: Some("x".into()),
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><synchronize/><confirmed/><confirm-timeout>2</confirm-timeout><full/><log>x</log>\
             </commit-configuration>",
        ),
        (
            "S28, C1: never 0",
            CommitConfiguration {
                confirmed: Some(timeout(1)),
                ..plain()
            }
            .rpc(&all),
            "<commit-configuration><confirmed/><confirm-timeout>1</confirm-timeout></commit-configuration>",
        ),
        (
            "E2",
            GetCommitInformation::default().rpc(&all),
            "<get-commit-information/>",
        ),
        (
            "S27 revisions",
            GetCommitInformation { revisions: true }.rpc(&all),
            "<get-commit-information><include-configuration-revision/></get-commit-information>",
        ),
        (
            "S27 revision",
            GetCommitRevision.rpc(&all),
            "<get-commit-revision-information><level>detail</level></get-commit-revision-information>",
        ),
    ]);
}

/// S7: none of it goes to another device.
#[test]
fn junos_operations_are_guarded() {
    let none = everything();
    let uri = Capability::JunosXml.uri();
    check_missing(vec![
        (LockConfiguration.rpc(&none), "lock-configuration", uri),
        (UnlockConfiguration.rpc(&none), "unlock-configuration", uri),
        (OpenConfiguration::Private.rpc(&none), "open-configuration", uri),
        (CloseConfiguration.rpc(&none), "close-configuration", uri),
        (LoadConfiguration::Rescue.rpc(&none), "load-configuration", uri),
        (
            SaveRescueConfiguration.rpc(&none),
            "request-save-rescue-configuration",
            uri,
        ),
        (
            CommitConfiguration::default().rpc(&none),
            "commit-configuration",
            uri,
        ),
        (ClearSystemCommit.rpc(&none), "clear-system-commit", uri),
        (
            GetCommitInformation::default().rpc(&none),
            "get-commit-information",
            uri,
        ),
        (
            GetCommitRevision.rpc(&none),
            "get-commit-revision-information",
            uri,
        ),
    ]);
}

/// S12, S25, S27, E6: what does not go together.
#[test]
fn junos_operations_refuse_nonsense() {
    let all = junos();
    let data = |action, data| LoadConfiguration::Data { action, data }.rpc(&all);
    let xml = |text: &str| LoadData::Xml(fragment(text));
    let plain = CommitConfiguration::default;
    let at = || AtTime::parse("reboot").ok();
    check_invalid(vec![
        (
            OpenConfiguration::EphemeralInstance(String::new()).rpc(&all),
            "instance",
        ),
        (
            OpenConfiguration::EphemeralInstance("a b".into()).rpc(&all),
            "instance",
        ),
        (
            OpenConfiguration::EphemeralInstance("default".into()).rpc(&all),
            "instance",
        ),
        (data(LoadAction::Set, xml("<configuration/>")), "action"),
        (data(LoadAction::Set, LoadData::Text("x".into())), "action"),
        (data(LoadAction::Merge, LoadData::Set("set x".into())), "action"),
        (data(LoadAction::Replace, LoadData::Json("{}".into())), "action"),
        (data(LoadAction::Merge, xml("<system/>")), "config"),
        (data(LoadAction::Merge, LoadData::Text(" \n".into())), "config"),
        (
            data(
                LoadAction::Merge,
                LoadData::Url {
                    url: url(""),
                    format: Format::Xml,
                },
            ),
            "url",
        ),
        (
            data(
                LoadAction::Override,
                LoadData::Url {
                    url: url("/f"),
                    format: Format::Set,
                },
            ),
            "action",
        ),
        (LoadConfiguration::Rollback(50).rpc(&all), "rollback"),
        (
            CommitConfiguration {
                check: true,
                at_time: at(),
                ..plain()
            }
            .rpc(&all),
            "at",
        ),
        (
            CommitConfiguration {
                check: true,
                full: true,
                ..plain()
            }
            .rpc(&all),
            "full",
        ),
        (
            CommitConfiguration {
                check: true,
                confirmed: Some(timeout(60)),
                ..plain()
            }
            .rpc(&all),
            "confirm_timeout_seconds",
        ),
        (
            CommitConfiguration {
                at_time: at(),
                confirmed: Some(timeout(60)),
                ..plain()
            }
            .rpc(&all),
            "at",
        ),
        (
            CommitConfiguration {
                confirmed: Some(timeout(u32::MAX)),
                ..plain()
            }
            .rpc(&all),
            "confirm_timeout_seconds",
        ),
    ]);
}
