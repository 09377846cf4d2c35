%% @doc The registered functions: name to fun.
%%
%% A table rather than a process, since every call of every Python thread reads it. It belongs to {@link py_sup}, so no
%% crash below loses a registration.
-module(py_registry).

-export([new/0, add/2, remove/1, lookup/1, lookup/2, names/0, count/0, name/1, count_name/0]).
-export_type([name/0, target/0, found/0, last/0]).

-type name() :: atom() | binary() | string().
-type target() :: fun(([term()]) -> term()) | {module(), Function :: atom()}.

-type found() :: {ok, target()} | error.

%% A look-up, good until the table changes. The table copies a fun together with its environment, at
%% 13 us for a list of 1,000 integers; a note costs 0.14 us for any fun (RATIONALE.md).
-type last() :: none | {Change :: integer(), Name :: binary(), found()}.

%% The calling process's last one.
-define(LAST, '$py_last_lookup').

%% Not a binary, so never taken for a function's name.
-define(NAMES, exception_names).

%% @doc Makes the table; the caller owns it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, set, {read_concurrency, true}]),
    true = ets:insert(?MODULE, {?NAMES, 0}),
    persistent_term:put(?MODULE, atomics:new(1, [])).

%% @doc Registers, in place of an earlier one of that name.
-spec add(name(), target()) -> ok.
add(Name, Target) ->
    true = ets:insert(?MODULE, {name(Name), Target}),
    changed().

%% @doc Unregisters; an unknown name is not an error.
-spec remove(name()) -> ok.
remove(Name) ->
    true = ets:delete(?MODULE, name(Name)),
    changed().

-spec changed() -> ok.
changed() ->
    atomics:add(persistent_term:get(?MODULE), 1, 1).

%% @doc What a name stands for. Keeps a note of it in the calling process's dictionary, for the next time.
-spec lookup(binary()) -> found().
lookup(Name) ->
    Last = case get(?LAST) of undefined -> none; Kept -> Kept end,
    case lookup(Name, Last) of
        {Found, Last} ->
            Found;
        {Found, New} ->
            _ = put(?LAST, New),
            Found
    end.

%% @doc The same for a caller that keeps the note itself.
-spec lookup(binary(), last()) -> {found(), last()}.
lookup(Name, Last) ->
    %% Before the table is looked at, so that what is found is never older than the number that it is kept under.
    Change = atomics:get(persistent_term:get(?MODULE), 1),
    case Last of
        {Change, Name, Found} ->
            {Found, Last};
        _ ->
            Found = case ets:lookup(?MODULE, Name) of [{_, Target}] -> {ok, Target}; [] -> error end,
            {Found, {Change, Name, Found}}
    end.

%% @doc All names, sorted.
-spec names() -> [binary()].
names() ->
    lists:sort([Name || {Name, _} <- ets:tab2list(?MODULE), is_binary(Name)]).

-spec count() -> non_neg_integer().
count() ->
    ets:info(?MODULE, size) - 1.

%% @doc Counts the exception names that became atoms of the node, see {@link py_result}.
-spec count_name() -> pos_integer().
count_name() ->
    ets:update_counter(?MODULE, ?NAMES, 1).

%% @doc A name as Python spells it.
-spec name(name()) -> binary().
name(Name) when is_binary(Name) -> Name;
name(Name) when is_atom(Name) -> atom_to_binary(Name);
name(Name) when is_list(Name) ->
    case unicode:characters_to_binary(Name) of
        Binary when is_binary(Binary) -> Binary;
        _ -> error(badarg, [Name])
    end;
name(Other) ->
    error(badarg, [Other]).
