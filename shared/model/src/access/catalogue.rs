//! Every permission of this build, as data: the tree of the dashboard and its help come from here.

use crate::metric::Text;

/// A permission of this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: &'static str,
    /// Whether it can be had for a group alone; otherwise only a grant for everything gives it.
    pub scoped: bool,
    /// What it allows, for people.
    pub help: Text,
}

impl Node {
    /// The name of the permission above it; none above `*`.
    pub fn parent(&self) -> Option<&'static str> {
        match self.name.rsplit_once('.') {
            Some((parent, _)) => Some(parent),
            None => (self.name != "*").then_some("*"),
        }
    }

    /// Whether it has parts.
    pub fn is_inner(&self) -> bool {
        PERMISSIONS.iter().any(|node| node.parent() == Some(self.name))
    }
}

/// Every permission of this build: each follows the one above it.
pub const fn permissions() -> &'static [Node] {
    PERMISSIONS
}

/// The one called `name`.
pub(super) fn find(name: &str) -> Option<&'static Node> {
    PERMISSIONS.iter().find(|node| node.name == name)
}

/// Makes the list from lines of `"name" scoped|whole "English", "Chinese", "Japanese";`.
macro_rules! catalogue {
    ($($name:literal $scope:ident $en:literal, $zh:literal, $ja:literal;)+) => {
        const PERMISSIONS: &[Node] = &[$(Node {
            name: $name,
            scoped: catalogue!(@$scope),
            help: Text { en: $en, zh: $zh, ja: $ja },
        }),+];
    };
    (@scoped) => { true };
    (@whole) => { false };
}

catalogue! {
    "*" whole "Everything, also what later versions add.", "全部权限，包括以后版本新增的权限。", "すべての権限。今後のバージョンで追加されるものも含む。";
    "host" scoped "Everything about hosts.", "宿主机的全部权限。", "ホストに関するすべての権限。";
    "host.read" scoped "See hosts, their devices and their metrics.", "查看宿主机及其设备和指标。", "ホストとそのデバイス、メトリクスを見る。";
    "host.write" scoped "Label hosts.", "为宿主机设置标签。", "ホストにラベルを付ける。";
    "vm" scoped "Everything about virtual machines.", "虚拟机的全部权限。", "仮想マシンに関するすべての権限。";
    "vm.read" scoped "See virtual machines, their devices and their metrics.", "查看虚拟机及其设备和指标。", "仮想マシンとそのデバイス、メトリクスを見る。";
    "vm.write" scoped "Label virtual machines, and enter those that no agent sees.", "为虚拟机设置标签，并登记没有代理的虚拟机。", "仮想マシンにラベルを付け、エージェントのない仮想マシンを登録する。";
    "group" scoped "Everything about groups of virtual machines.", "虚拟机分组的全部权限。", "仮想マシンのグループに関するすべての権限。";
    "group.read" scoped "See groups and their members.", "查看分组及其成员。", "グループとそのメンバーを見る。";
    "group.write" scoped "Make, change and delete groups, and put virtual machines into them.", "创建、修改和删除分组，并把虚拟机加入分组。", "グループを作成、変更、削除し、仮想マシンを入れる。";
    "ledger" scoped "Everything about missing samples.", "缺失样本的全部权限。", "欠落したサンプルに関するすべての権限。";
    "ledger.read" scoped "See which samples are missing and why.", "查看缺失的样本及其原因。", "欠落したサンプルとその理由を見る。";
    "export" whole "Everything about exports.", "导出的全部权限。", "エクスポートに関するすべての権限。";
    "export.create" scoped "Have big exports made of what one may see, and fetch them.", "对可见内容创建大型导出任务并下载文件。", "見られる範囲の大きなエクスポートを作成し、取得する。";
    "export.manage" whole "See everybody's exports, cancel and remove them.", "查看、取消和删除所有人的导出。", "全員のエクスポートを見て、中止し、削除する。";
    "system" whole "Everything about the installation itself.", "系统自身的全部权限。", "システム自体に関するすべての権限。";
    "system.read" whole "See the health of collectors, agents and the database.", "查看采集器、代理和数据库的健康状况。", "コレクター、エージェント、データベースの状態を見る。";
    "user" whole "Everything about users.", "用户的全部权限。", "ユーザーに関するすべての権限。";
    "user.read" whole "See users, their grants and their sessions.", "查看用户及其授权和会话。", "ユーザーとその権限付与、セッションを見る。";
    "user.write" whole "Make, change, unlock and delete users.", "创建、修改、解锁和删除用户。", "ユーザーを作成、変更、ロック解除、削除する。";
    "role" whole "Everything about roles.", "角色的全部权限。", "ロールに関するすべての権限。";
    "role.read" whole "See roles and what they allow.", "查看角色及其允许的操作。", "ロールとその許可内容を見る。";
    "role.write" whole "Make, change and delete roles.", "创建、修改和删除角色。", "ロールを作成、変更、削除する。";
    "grant" whole "Everything about grants.", "授权的全部权限。", "権限付与に関するすべての権限。";
    "grant.write" whole "Give users roles, and take them away.", "为用户授予或收回角色。", "ユーザーにロールを付与し、取り消す。";
    "audit" whole "Everything about the audit log.", "审计日志的全部权限。", "監査ログに関するすべての権限。";
    "audit.read" whole "See who did what, and export it.", "查看并导出操作记录。", "誰が何をしたかを見て、書き出す。";
}
