%% @doc The settings of the application, checked once when it starts.
%%
%% They are read on every call and never change while the application runs, hence a persistent term.
-module(py_settings).

-export([load/0, unload/0, get/1, check/1]).
-export_type([settings/0]).

-include_lib("kernel/include/logger.hrl").

-type settings() :: #{atom() => term()}.

%% What a value has to be. A `text' may also be `undefined', a `limit' also `infinity'.
-type check() :: {integer, From :: integer()} | {integer, From :: integer(), To :: integer()} | {limit, From :: integer()} | boolean | text | variables | recipients.

%% The settings: name, default, check. A new one is a line here, and one in docs/settings.md.
-spec table() -> [{atom(), Default :: term(), check()}].
table() ->
    [
        {python, undefined, text},
        {hosts, 1, {integer, 0}},
        {contexts, erlang:system_info(schedulers_online), {integer, 1}},
        {max_contexts, 64, {integer, 1}},
        {max_workers, 1024, {integer, 1}},
        {max_nesting, 100, {integer, 1}},
        {max_async, 1000, {integer, 1}},
        {max_submitted_bytes, 64 * 1024 * 1024, {integer, 1}},
        {max_queued_bytes, 64 * 1024 * 1024, {integer, 1}},
        {deadlock_after, 10000, {limit, 1}},
        %% The least leaves room for the full text of any failure.
        {max_frame, 64 * 1024 * 1024, {integer, 16#10000, 16#FFFFFFFF}},
        %% In words, as Erlang's own flag of the name. Less leaves no room beside a call.
        {max_heap_size, 512 * 1024 * 1024, {limit, 16#10000}},
        {poll, 25, {integer, 0}},
        {socket, undefined, text},
        {env, [], variables},
        {cd, undefined, text},
        {create_atoms, false, boolean},
        {max_state_entries, 1_000_000, {limit, 1}},
        {send, any, recipients}
    ].

%% Settings of the library erlang_python without a meaning here, and their substitutes. They are
%% logged and ignored: a configuration of that library starts.
-spec foreign() -> #{atom() => binary()}.
foreign() ->
    #{
        num_contexts => <<"contexts">>,
        default_pool_size => <<"contexts">>,
        num_workers => <<"contexts">>,
        num_executors => <<"contexts; hosts for more than one GIL">>,
        num_subinterp_workers => <<"hosts: each has its own GIL">>,
        context_mode => <<"hosts: each has its own GIL">>,
        io_pool_mode => <<"hosts: each has its own GIL">>,
        io_pool_size => <<"max_contexts">>,
        max_concurrent => <<"max_contexts">>,
        num_async_workers => <<"max_async">>,
        event_loop_pool_size => <<"none: async_call works on any loop">>,
        event_loop_pool_owngil => <<"none: async_call works on any loop">>,
        event_loop_isolation => <<"none: async_call works on any loop">>,
        enable_memory_limits => <<"none: limit the host as any OS process">>,
        imports => <<"py:exec of import statements">>,
        paths => <<"env: [{\"PYTHONPATH\", \"DIR:DIR\"}]">>,
        python_path => <<"env: [{\"PYTHONPATH\", \"DIR:DIR\"}]">>,
        worker_timeout => <<"the timeout of a call, as in py:call/5">>
    }.

%% OTP puts these into every application's environment.
-define(OF_OTP, [included_applications]).

%% @doc Reads and checks the application's environment; an error says which setting is wrong, and what it should be.
-spec load() -> {ok, settings()} | {error, {bad_setting, atom(), binary()}}.
load() ->
    Given = maps:without(?OF_OTP, maps:from_list(application:get_all_env(erlang_python))),
    Ignored = maps:with(maps:keys(Given), foreign()),
    _ = [?LOG_WARNING(#{what => py_setting_ignored, setting => Name, instead => Instead}) || {Name, Instead} <- maps:to_list(Ignored)],
    case check(maps:without(maps:keys(Ignored), Given)) of
        {ok, Settings} ->
            persistent_term:put(?MODULE, Settings),
            {ok, Settings};
        Error ->
            Error
    end.

-spec unload() -> ok.
unload() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% @doc A setting of the running application.
-spec get(atom()) -> term().
get(Name) ->
    try persistent_term:get(?MODULE) of
        Settings -> map_get(Name, Settings)
    catch
        error:badarg -> error({not_started, erlang_python})
    end.

%% @doc Fills in defaults, and refuses unknown names and wrong values.
-spec check(#{atom() => term()}) -> {ok, settings()} | {error, {bad_setting, atom(), binary()}}.
check(Given) ->
    Checked = [{Name, maps:get(Name, Given, Default), Check} || {Name, Default, Check} <- table()],
    Names = [Name || {Name, _, _} <- Checked],
    case {maps:keys(maps:without(Names, Given)), [Bad || {_, Value, Check} = Bad <- Checked, not is_valid(Check, Value)]} of
        {[], []} ->
            {ok, maps:from_list([{Name, plain(Check, Value)} || {Name, Value, Check} <- Checked])};
        {[Unknown | _], _} ->
            bad(Unknown, "there is no setting ~ts; did you mean ~ts? All are ~ts",
                [Unknown, nearest(Unknown, Names), lists:join(", ", [atom_to_list(Name) || Name <- lists:sort(Names)])]);
        {[], [{Name, Value, Check} | _]} ->
            bad(Name, "setting ~ts must be ~ts, not ~ts", [Name, wanted(Check), py_text:line(Value, 200)])
    end.

-spec bad(atom(), string(), [term()]) -> {error, {bad_setting, atom(), binary()}}.
bad(Name, Format, Arguments) ->
    {error, {bad_setting, Name, unicode:characters_to_binary(io_lib:format(Format, Arguments))}}.

%% The name with the fewest edits. OTP has string:jaro_similarity/2 since 27 only.
-spec nearest(atom(), [atom(), ...]) -> atom().
nearest(Unknown, Names) ->
    Distances = [{distance(atom_to_list(Unknown), atom_to_list(Name)), Name} || Name <- Names],
    element(2, lists:min(Distances)).

%% Levenshtein's, row by row.
-spec distance(string(), string()) -> non_neg_integer().
distance(From, To) ->
    Next = fun(Char, [First | Above]) -> [First + 1 | row(Char, To, First, Above, First + 1)] end,
    lists:last(lists:foldl(Next, lists:seq(0, length(To)), From)).

-spec row(char(), string(), non_neg_integer(), [non_neg_integer()], non_neg_integer()) -> [non_neg_integer()].
row(_Char, [], _Diagonal, [], _Left) ->
    [];
row(Char, [Other | To], Diagonal, [Up | Above], Left) ->
    Replaced = Diagonal + case Char of Other -> 0; _ -> 1 end,
    Edits = lists:min([Replaced, Up + 1, Left + 1]),
    [Edits | row(Char, To, Up, Above, Edits)].

%% The kinds of value: the check, its words, and the value's form inside the application.

-spec is_valid(check(), term()) -> boolean().
is_valid({integer, From}, Value) -> is_integer(Value) andalso Value >= From;
is_valid({integer, From, To}, Value) -> is_integer(Value) andalso Value >= From andalso Value =< To;
is_valid({limit, From}, Value) -> Value =:= infinity orelse is_integer(Value) andalso Value >= From;
is_valid(boolean, Value) -> is_boolean(Value);
is_valid(text, Value) -> Value =:= undefined orelse is_text(Value);
is_valid(variables, Value) when length(Value) >= 0 -> lists:all(fun is_variable/1, Value);
is_valid(variables, _) -> false;
is_valid(recipients, Names) when length(Names) >= 0 -> lists:all(fun is_name/1, Names);
is_valid(recipients, Value) -> Value =:= any orelse Value =:= none.

-spec wanted(check()) -> iodata().
wanted({integer, From}) -> ["an integer from ", integer_to_list(From)];
wanted({integer, From, To}) -> ["an integer from ", integer_to_list(From), " to ", integer_to_list(To)];
wanted({limit, From}) -> ["an integer from ", integer_to_list(From), ", or infinity"];
wanted(boolean) -> "true or false";
wanted(text) -> "a string";
wanted(variables) -> "a list of {\"NAME\", \"value\"}";
wanted(recipients) -> "any, none, or a list of names of registered processes".

-spec plain(check(), term()) -> term().
plain(variables, Variables) -> [{string(Name), string(Value)} || {Name, Value} <- Variables];
plain(recipients, Names) when is_list(Names) -> [py_registry:name(Name) || Name <- Names];
plain(_Check, Value) -> string(Value).

-spec is_variable(term()) -> boolean().
is_variable({Name, Value}) -> is_text(Name) andalso (Value =:= false orelse Value =:= "" orelse is_text(Value));
is_variable(_) -> false.

-spec is_name(term()) -> boolean().
is_name(Name) -> is_atom(Name) orelse is_text(Name).

-spec is_text(term()) -> boolean().
is_text([_ | _] = List) -> io_lib:printable_unicode_list(List);
is_text(Binary) when is_binary(Binary) -> is_text(unicode:characters_to_list(Binary));
is_text(_) -> false.

-spec string(term()) -> term().
string(Binary) when is_binary(Binary) -> unicode:characters_to_list(Binary);
string(Other) -> Other.
