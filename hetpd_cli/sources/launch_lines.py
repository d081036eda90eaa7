def claims(source): return False
def groups(source, limits): return []
