%% @doc The settings of the application, checked once when it starts.
%%
%% They are read on every call and never change while the application runs, hence a persistent term.
-module(py_settings).

-export([load/0, unload/0, get/1, check/1]).
-export_type([settings/0]).

-type settings() :: #{atom() => term()}.

%% What a value has to be. A `text' may also be `undefined'.
-type check() :: {integer, From :: integer()} | {integer, From :: integer(), To :: integer()} | boolean | text | variables.

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
        %% The least leaves room for the full text of any failure.
        {max_frame, 64 * 1024 * 1024, {integer, 16#10000, 16#FFFFFFFF}},
        {poll, 25, {integer, 0}},
        {socket, undefined, text},
        {env, [], variables},
        {cd, undefined, text},
        {create_atoms, false, boolean}
    ].

%% @doc Reads and checks the application's environment; an error says which setting is wrong, and what it should be.
-spec load() -> {ok, settings()} | {error, {bad_setting, atom(), binary()}}.
load() ->
    Given = application:get_all_env(erlang_python),
    case check(maps:with(names(), maps:from_list(Given))) of
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

%% @doc Fills in what is missing, and refuses what is wrong.
-spec check(#{atom() => term()}) -> {ok, settings()} | {error, {bad_setting, atom(), binary()}}.
check(Given) ->
    Checked = [{Name, maps:get(Name, Given, Default), Check} || {Name, Default, Check} <- table()],
    case [Bad || {_, Value, Check} = Bad <- Checked, not is_valid(Check, Value)] of
        [] ->
            {ok, maps:from_list([{Name, plain(Check, Value)} || {Name, Value, Check} <- Checked])};
        [{Name, Value, Check} | _] ->
            Text = io_lib:format("setting ~ts must be ~ts, not ~ts", [Name, wanted(Check), py_text:line(Value, 200)]),
            {error, {bad_setting, Name, unicode:characters_to_binary(Text)}}
    end.

-spec names() -> [atom()].
names() ->
    [Name || {Name, _, _} <- table()].

%% The kinds of value: the check, its words, and the form that the rest of the application gets.

-spec is_valid(check(), term()) -> boolean().
is_valid({integer, From}, Value) -> is_integer(Value) andalso Value >= From;
is_valid({integer, From, To}, Value) -> is_integer(Value) andalso Value >= From andalso Value =< To;
is_valid(boolean, Value) -> is_boolean(Value);
is_valid(text, Value) -> Value =:= undefined orelse is_text(Value);
is_valid(variables, Value) when length(Value) >= 0 -> lists:all(fun is_variable/1, Value);
is_valid(variables, _) -> false.

-spec wanted(check()) -> iodata().
wanted({integer, From}) -> ["an integer from ", integer_to_list(From)];
wanted({integer, From, To}) -> ["an integer from ", integer_to_list(From), " to ", integer_to_list(To)];
wanted(boolean) -> "true or false";
wanted(text) -> "a string";
wanted(variables) -> "a list of {\"NAME\", \"value\"}".

-spec plain(check(), term()) -> term().
plain(variables, Variables) -> [{string(Name), string(Value)} || {Name, Value} <- Variables];
plain(_Check, Value) -> string(Value).

-spec is_variable(term()) -> boolean().
is_variable({Name, Value}) -> is_text(Name) andalso (Value =:= false orelse Value =:= "" orelse is_text(Value));
is_variable(_) -> false.

-spec is_text(term()) -> boolean().
is_text([_ | _] = List) -> io_lib:printable_unicode_list(List);
is_text(Binary) when is_binary(Binary) -> is_text(unicode:characters_to_list(Binary));
is_text(_) -> false.

-spec string(term()) -> term().
string(Binary) when is_binary(Binary) -> unicode:characters_to_list(Binary);
string(Other) -> Other.
