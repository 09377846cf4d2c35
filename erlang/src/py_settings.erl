%% @doc The settings of the application, checked once when it starts.
%%
%% They are read on every call and never change while the application runs, hence a persistent term.
-module(py_settings).

-export([load/0, unload/0, get/1, check/1]).
-export_type([settings/0]).

-type settings() :: #{
    python := undefined | string(),
    hosts := non_neg_integer(),
    contexts := pos_integer(),
    max_contexts := pos_integer(),
    max_workers := pos_integer(),
    max_nesting := pos_integer(),
    max_async := pos_integer(),
    max_submitted_bytes := pos_integer(),
    max_frame := pos_integer(),
    poll := non_neg_integer(),
    socket := undefined | string(),
    env := [{string(), string() | false}],
    cd := undefined | string(),
    create_atoms := boolean()
}.

%% Long enough for any failure to be told in full text.
-define(LEAST_FRAME, 16#10000).

%% @doc Reads and checks the application's environment; an error says which setting is wrong, and what it should be.
-spec load() -> {ok, settings()} | {error, {bad_setting, atom(), binary()}}.
load() ->
    Given = application:get_all_env(erlang_python),
    case check(maps:with(maps:keys(defaults()), maps:from_list(Given))) of
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
    Settings = maps:merge(defaults(), Given),
    Bad = [{Name, Wanted} || {Name, Value} <- lists:sort(maps:to_list(Settings)), Wanted <- [wrong(Name, Value)], Wanted =/= ok],
    case Bad of
        [] ->
            {ok, maps:map(fun plain/2, Settings)};
        [{Name, Wanted} | _] ->
            Text = io_lib:format("setting ~ts must be ~ts, not ~ts",
                                 [Name, Wanted, py_text:line(map_get(Name, Settings), 200)]),
            {error, {bad_setting, Name, unicode:characters_to_binary(Text)}}
    end.

-spec defaults() -> settings().
defaults() ->
    #{
        python => undefined,
        hosts => 1,
        contexts => erlang:system_info(schedulers_online),
        max_contexts => 64,
        max_workers => 1024,
        max_nesting => 100,
        max_async => 1000,
        max_submitted_bytes => 64 * 1024 * 1024,
        max_frame => 64 * 1024 * 1024,
        poll => 25,
        socket => undefined,
        env => [],
        cd => undefined,
        create_atoms => false
    }.

-spec wrong(atom(), term()) -> ok | string().
wrong(Name, Value) when Name =:= hosts; Name =:= poll ->
    unless(is_integer(Value) andalso Value >= 0, "an integer from 0");
wrong(Name, Value) when Name =:= contexts; Name =:= max_contexts; Name =:= max_workers; Name =:= max_nesting; Name =:= max_async;
                       Name =:= max_submitted_bytes ->
    unless(is_integer(Value) andalso Value >= 1, "an integer from 1");
wrong(max_frame, Value) ->
    unless(is_integer(Value) andalso Value >= ?LEAST_FRAME andalso Value =< 16#FFFFFFFF, "an integer from 65536 to 4294967295");
wrong(create_atoms, Value) ->
    unless(is_boolean(Value), "true or false");
wrong(env, Value) ->
    unless(is_list(Value) andalso lists:all(fun is_variable/1, Value), "a list of {\"NAME\", \"value\"}");
wrong(_Path, Value) ->
    unless(Value =:= undefined orelse is_text(Value), "a string").

-spec unless(boolean(), string()) -> ok | string().
unless(true, _Wanted) -> ok;
unless(false, Wanted) -> Wanted.

-spec is_variable(term()) -> boolean().
is_variable({Name, Value}) -> is_text(Name) andalso (Value =:= false orelse Value =:= "" orelse is_text(Value));
is_variable(_) -> false.

-spec is_text(term()) -> boolean().
is_text([_ | _] = List) -> io_lib:printable_unicode_list(List);
is_text(Binary) when is_binary(Binary) -> is_text(unicode:characters_to_list(Binary));
is_text(_) -> false.

-spec plain(atom(), term()) -> term().
plain(env, Variables) -> [{string(Name), string(Value)} || {Name, Value} <- Variables];
plain(_Name, Value) -> string(Value).

-spec string(term()) -> term().
string(Binary) when is_binary(Binary) -> unicode:characters_to_list(Binary);
string(Other) -> Other.
