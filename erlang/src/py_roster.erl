%% @doc The processes watched by {@link py_contexts}: hosts with their control channels, contexts,
%% and the tokens of contexts still to connect.
-module(py_roster).

-export([new/0, host/3, controls/1, control_of/2, control/2]).
-export([expect/4, connected/4, awaited/2, forget/2, down/3, counts/1]).
-export_type([roster/0]).

-record(context, {
    monitor :: reference(),
    host :: pid(),
    %% The host knows the context by it.
    token :: py_handshake:token(),
    %% See {@link py_deadlock}.
    activity :: atomics:atomics_ref()
}).

-record(roster, {
    %% The handler of a host's control channel is there while the host is up.
    hosts = #{} :: #{pid() => {Monitor :: reference(), Control :: none | pid()}},
    contexts = #{} :: #{pid() => #context{}},
    tokens = #{} :: #{py_handshake:token() => {Host :: pid(), Timer :: reference()}}
}).

-opaque roster() :: #roster{}.

-spec new() -> roster().
new() ->
    #roster{}.

%% @doc A host is in another state now.
-spec host(pid(), none | pid(), roster()) -> roster().
host(Host, Control, #roster{hosts = Hosts} = Roster) ->
    Monitor =
        case Hosts of
            #{Host := {Known, _}} -> Known;
            #{} -> monitor(process, Host)
        end,
    Roster#roster{hosts = Hosts#{Host => {Monitor, Control}}}.

%% @doc The control channels of the running hosts.
-spec controls(roster()) -> [pid()].
controls(#roster{hosts = Hosts}) ->
    [Control || {_, Control} <- maps:values(Hosts), is_pid(Control)].

-spec control_of(pid(), roster()) -> {ok, pid()} | false.
control_of(Host, #roster{hosts = Hosts}) ->
    case Hosts of
        #{Host := {_, Control}} when is_pid(Control) -> {ok, Control};
        #{} -> false
    end.

%% @doc How to speak of a context to its host.
-spec control(pid(), roster()) -> {ok, pid(), py_handshake:token()} | false.
control(Context, #roster{contexts = Contexts} = Roster) ->
    case Contexts of
        #{Context := #context{host = Host, token = Token}} ->
            case control_of(Host, Roster) of
                {ok, Control} -> {ok, Control, Token};
                false -> false
            end;
        #{} ->
            false
    end.

%% @doc The host was asked for a context. The new context shows the token; the timer ends with it.
-spec expect(py_handshake:token(), pid(), reference(), roster()) -> roster().
expect(Token, Host, Timer, #roster{tokens = Tokens} = Roster) ->
    Roster#roster{tokens = Tokens#{Token => {Host, Timer}}}.

%% @doc A context has connected; `error' when its token is unknown.
-spec connected(pid(), py_handshake:token(), py_handshake:info(), roster()) -> {ok, pid(), roster()} | error.
connected(Context, Token, Info, Roster) ->
    case forget(Token, Roster) of
        {ok, Host, #roster{contexts = Contexts} = Roster1} ->
            #{activity := Activity} = Info,
            Known = #context{monitor = monitor(process, Context), host = Host, token = Token, activity = Activity},
            {ok, Host, Roster1#roster{contexts = Contexts#{Context => Known}}};
        error ->
            error
    end.

%% @doc The tokens of contexts still to connect from a host.
-spec awaited(pid(), roster()) -> [py_handshake:token()].
awaited(Host, #roster{tokens = Tokens}) ->
    [Token || {Token, {In, _Timer}} <- maps:to_list(Tokens), In =:= Host].

%% @doc Stops waiting for the context with this token.
-spec forget(py_handshake:token(), roster()) -> {ok, pid(), roster()} | error.
forget(Token, #roster{tokens = Tokens} = Roster) ->
    case maps:take(Token, Tokens) of
        {{Host, Timer}, Rest} ->
            _ = erlang:cancel_timer(Timer),
            {ok, Host, Roster#roster{tokens = Rest}};
        error ->
            error
    end.

%% @doc A monitored process has ended.
-spec down(reference(), pid(), roster()) -> {context | host, roster()} | error.
down(Monitor, Pid, #roster{contexts = Contexts, hosts = Hosts} = Roster) ->
    case {Contexts, Hosts} of
        {#{Pid := #context{monitor = Monitor}}, _} -> {context, Roster#roster{contexts = maps:remove(Pid, Contexts)}};
        {_, #{Pid := {Monitor, _}}} -> {host, Roster#roster{hosts = maps:remove(Pid, Hosts)}};
        _ -> error
    end.

%% @doc The activity of each context, for {@link py_deadlock}.
-spec counts(roster()) -> #{pid() => integer()}.
counts(#roster{contexts = Contexts}) ->
    maps:map(fun(_, #context{activity = Activity}) -> atomics:get(Activity, 1) end, Contexts).
