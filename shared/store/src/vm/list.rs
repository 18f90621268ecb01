//! The list of virtual machines: filtered, sorted and cut up by the database.

use super::{VM, Vm, vm};
use crate::access::vm_within;
use crate::listing::{self, Column, Conditions, Cursor, Listed, Part, Selection, Sorted};
use crate::{Error, Order, Paging, REPORTING_S, Store, page};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vmscope_model::HostId;
use vmscope_model::access::Reach;

/// By what VMs are sorted. What is not known comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sort {
    /// Name, in any case.
    #[default]
    Name,
    /// Code of the state.
    State,
    /// Name of the host, in any case.
    Host,
    /// Time of the last sample.
    LastSampleAt,
    /// Virtual processors.
    Vcpus,
    /// Memory that it may use.
    MemoryMaximum,
    /// Memory that it uses.
    MemoryUsed,
    /// When it was first seen.
    FirstSeenAt,
}

impl Sorted for Sort {
    fn column(self) -> Column {
        match self {
            Self::Name => Column::text("lower(v.name)"),
            Self::State => Column::number("coalesce(v.state, -1)::bigint"),
            Self::Host => Column::text("lower(coalesce(h.name, ''))"),
            Self::LastSampleAt => {
                Column::number("coalesce((extract(epoch FROM v.last_seen_at) * 1000000)::bigint, 0)")
            }
            Self::Vcpus => Column::number("coalesce(v.vcpus, -1)::bigint"),
            Self::MemoryMaximum => Column::number("coalesce(v.memory_maximum_bytes, -1)"),
            Self::MemoryUsed => Column::number("coalesce(v.memory_used_bytes, -1)"),
            Self::FirstSeenAt => Column::number("(extract(epoch FROM v.first_seen_at) * 1000000)::bigint"),
        }
    }
}

/// What a VM does now, as far as samples tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Reports this state, a libvirt code.
    Reported(i16),
    /// No state was sampled in the last [`REPORTING_S`].
    Silent,
}

/// Whether machines that have left their host's inventory are in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Archived {
    /// They are not.
    #[default]
    Without,
    /// They alone are.
    Only,
    /// They are among the others.
    With,
}

/// A number from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range<T> {
    /// Not below this.
    pub min: Option<T>,
    /// Not above this.
    pub max: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self { min: None, max: None }
    }
}

/// Which VMs, in which order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// In the name, the host's name, labels, the guest's name or addresses, in any case; or the beginning of the UUID. Empty for all.
    pub search: String,
    /// Only VMs that do this.
    pub state: Option<State>,
    /// Only VMs of this host.
    pub host: Option<HostId>,
    /// Only VMs in this group.
    pub group: Option<Uuid>,
    /// Only VMs with each of these labels: key, and the value unless any will do.
    pub labels: Vec<(String, Option<String>)>,
    /// Only VMs with so many virtual processors.
    pub vcpus: Range<i32>,
    /// Only VMs that may use so much memory, in bytes.
    pub memory_bytes: Range<i64>,
    /// Only VMs that were entered by somebody, or only others.
    pub manual: Option<bool>,
    /// Only VMs that report, or only others.
    pub reporting: Option<bool>,
    /// Whether archived ones are among them.
    pub archived: Archived,
    /// Only VMs within this.
    #[serde(skip)]
    pub reach: Reach,
    /// Order; by name without.
    pub order: Vec<Order<Sort>>,
    /// Page; with a cursor, how many alone.
    #[serde(skip)]
    pub paging: Paging,
    /// Only VMs behind this place.
    #[serde(skip)]
    pub cursor: Option<Cursor>,
}

pub(super) const FROM: &str = "\nFROM vm v LEFT JOIN host h ON h.id = v.host_id";

impl Filter {
    /// The keys of the order.
    pub fn keys(&self) -> Vec<Order<Sort>> {
        if self.order.is_empty() {
            vec![Order::default()]
        } else {
            self.order.clone()
        }
    }

    /// Whether the cursor can come from a list in this order.
    pub fn takes(&self, cursor: &Cursor) -> bool {
        cursor.fits(&self.keys())
    }

    /// What has to be so, wherever the part begins.
    pub(super) fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        self.search_in(&mut conditions);
        self.state_in(&mut conditions);
        conditions.if_given(self.host.map(|host| host.0), |n| format!("h.uuid = ${n}"));
        conditions.if_given(self.group, |n| {
            format!("EXISTS (SELECT FROM vm_group_member m WHERE m.vm_id = v.id AND m.group_id = ${n})")
        });
        for (key, value) in &self.labels {
            let key = conditions.bind(key.clone());
            let value = value.clone().map(|value| conditions.bind(value));
            let value = value.map_or_else(String::new, |n| format!(" AND l.value = ${n}"));
            conditions.require(format!(
                "v.id IN (SELECT l.vm_id FROM vm_label l WHERE l.key = ${key}{value})"
            ));
        }
        conditions.if_given(self.vcpus.min, |n| format!("v.vcpus >= ${n}"));
        conditions.if_given(self.vcpus.max, |n| format!("v.vcpus <= ${n}"));
        conditions.if_given(self.memory_bytes.min, |n| {
            format!("v.memory_maximum_bytes >= ${n}")
        });
        conditions.if_given(self.memory_bytes.max, |n| {
            format!("v.memory_maximum_bytes <= ${n}")
        });
        conditions.if_given(self.manual, |n| format!("v.manual = ${n}"));
        match self.archived {
            Archived::Without => conditions.require("v.archived_at IS NULL"),
            Archived::Only => conditions.require("v.archived_at IS NOT NULL"),
            Archived::With => {}
        }
        conditions.within(&self.reach, |allowed, denied| vm_within("v.id", allowed, denied));
        conditions
    }

    fn search_in(&self, conditions: &mut Conditions) {
        if self.search.is_empty() {
            return;
        }
        let (anywhere, beginning) = page::patterns(&self.search.to_lowercase());
        let (anywhere, beginning) = (conditions.bind(anywhere), conditions.bind(beginning));
        conditions.require(format!(
            "(v.id IN (SELECT s.vm_id FROM vm_search s WHERE s.text LIKE ${anywhere}) OR v.uuid::text LIKE ${beginning})"
        ));
    }

    fn state_in(&self, conditions: &mut Conditions) {
        let reports = format!("v.last_seen_at >= now() - interval '{REPORTING_S} s'");
        match self.state {
            None => {}
            Some(State::Reported(code)) => {
                let code = conditions.bind(code);
                conditions.require(format!("v.state = ${code} AND {reports}"));
            }
            Some(State::Silent) => {
                conditions.require(format!("(v.state IS NOT NULL AND {reports}) IS NOT TRUE"));
            }
        }
        match self.reporting {
            None => {}
            Some(true) => conditions.require(reports),
            Some(false) => conditions.require(format!("({reports}) IS NOT TRUE")),
        }
    }
}

/// The statement of a filter, in its order, without a limit.
pub(crate) fn selection(filter: &Filter) -> Selection {
    let order = filter.keys();
    let mut conditions = filter.conditions();
    if let Some(cursor) = &filter.cursor {
        conditions.behind(cursor, &order, "v.id");
    }
    let statement = format!(
        "{}{}{FROM}{}{}",
        *VM,
        listing::key_columns(&order),
        conditions.clause(),
        listing::order_by(&order, "v.id")
    );
    conditions.select(statement)
}

/// VMs, a part at a time.
///
/// # Errors
/// The database's failures.
pub async fn list(store: &Store, filter: &Filter) -> Result<Part<Vm>, Error> {
    const VMS: Listed = Listed {
        count: "count_vms",
        list: "list_vms",
        from: FROM,
        columns: super::COLUMNS,
    };
    let (conditions, page) = (filter.conditions(), selection(filter));
    let part = VMS
        .read(
            store,
            conditions,
            &page,
            filter.paging,
            filter.cursor.is_some(),
            &filter.keys(),
        )
        .await?;
    Ok(Part {
        items: part.items.iter().map(vm).collect(),
        total: part.total,
        next: part.next,
    })
}
