%% @doc Remembers the hosts of each namespace: the names defined by `py:exec' of one process, the
%% owner. {@link py_contexts} keeps it, and gets the monitors' messages.
-module(py_namespaces).

-export([new/0, add/3, place/2, lose/2, owner_down/3]).
-export_type([namespaces/0]).

%% The host of the last call comes first.
-opaque namespaces() :: #{Owner :: pid() => {Monitor :: reference(), [Host :: pid(), ...]}}.

-spec new() -> namespaces().
new() ->
    #{}.

%% @doc A call of the process goes to this host, and may leave names there.
-spec add(pid(), pid(), namespaces()) -> namespaces().
add(Owner, Host, Namespaces) ->
    case Namespaces of
        #{Owner := {_, [Host | _]}} -> Namespaces;
        #{Owner := {Monitor, Hosts}} -> Namespaces#{Owner := {Monitor, [Host | lists:delete(Host, Hosts)]}};
        #{} -> Namespaces#{Owner => {monitor(process, Owner), [Host]}}
    end.

%% @doc The place for a call with the names of the process.
-spec place(pid(), namespaces()) -> {host, pid()} | any.
place(Owner, Namespaces) ->
    case Namespaces of
        #{Owner := {_, [Host | _]}} -> {host, Host};
        #{} -> any
    end.

%% @doc The host has ended, and all names on it.
-spec lose(pid(), namespaces()) -> namespaces().
lose(Host, Namespaces) ->
    maps:filtermap(fun(_, {Monitor, Hosts}) -> left(Monitor, lists:delete(Host, Hosts)) end, Namespaces).

-spec left(reference(), [pid()]) -> false | {true, {reference(), [pid(), ...]}}.
left(Monitor, []) ->
    _ = demonitor(Monitor, [flush]),
    false;
left(Monitor, Hosts) ->
    {true, {Monitor, Hosts}}.

%% @doc The process has ended: the hosts with names of it.
-spec owner_down(reference(), pid(), namespaces()) -> {[pid()], namespaces()} | error.
owner_down(Monitor, Owner, Namespaces) ->
    case Namespaces of
        #{Owner := {Monitor, Hosts}} -> {Hosts, maps:remove(Owner, Namespaces)};
        #{} -> error
    end.
